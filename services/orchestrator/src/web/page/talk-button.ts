/**
 * One button for two habits: held down it records until it is let go; tapped it records until it is tapped again, which is also how a switch
 * or a screen reader, which can't hold, uses it. Time is an argument, so that tests need no clock.
 */

/** A press shorter than that is a tap. */
const TAP_MS = 300

export type TalkButton = { readonly isRecording: boolean; readonly pressedAt: number | null }
export type TalkAction = 'start' | 'send' | null
export type TalkStep = { readonly button: TalkButton; readonly action: TalkAction }

export const RELEASED: TalkButton = { isRecording: false, pressedAt: null }

export function press(button: TalkButton, nowMs: number): TalkStep {
  if (button.pressedAt !== null) return { button, action: null }
  if (button.isRecording) return { button: RELEASED, action: 'send' }
  return { button: { isRecording: true, pressedAt: nowMs }, action: 'start' }
}

export function release(button: TalkButton, nowMs: number): TalkStep {
  if (button.pressedAt === null) return { button, action: null }
  const wasTap = nowMs - button.pressedAt < TAP_MS
  return wasTap
    ? { button: { isRecording: true, pressedAt: null }, action: null }
    : { button: RELEASED, action: 'send' }
}
