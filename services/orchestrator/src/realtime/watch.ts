/** Speech in one conversation's sound, found by the models that all conversations share (@hearth/hearing). */
import { SpeechWatch } from '@hearth/hearing/speech-watch'
import type { Ears, SpeechEvent, TurnDetection as Detection } from '@hearth/hearing/speech-watch'
import { fromPcm16 } from '@hearth/shared/audio'
import { StreamResampler } from '@hearth/shared/audio-stream'
import type { CreateWatch, Speech } from './listener.ts'
import { rateOf } from './sound-in.ts'
import type { TurnDetection } from './session-config.ts'

const EAR_HZ = 16_000
/** Flat up to 6.3 kHz, where speech is: who only tells speech from silence pays for no more. */
const ZERO_CROSSINGS = 12
const toEar = (rateHz: number): StreamResampler => new StreamResampler(rateHz, EAR_HZ, ZERO_CROSSINGS)

export const watchWith =
  (ears: Ears): CreateWatch =>
  ({ turnDetection, inputFormat }) => {
    if (!turnDetection) return null
    const watch = new SpeechWatch({ ...ears, detection: detectionOf(turnDetection) })
    let inputHz = rateOf(inputFormat)
    let resampler = toEar(inputHz)
    const speech = speechOf()
    return {
      configure: (detection) => watch.configure(detectionOf(detection)),
      async push(pcm, rateHz, signal) {
        if (rateHz !== inputHz) resampler = toEar((inputHz = rateHz))
        const events = await watch.push(resampler.push(fromPcm16(pcm, rateHz).samples), signal)
        return events.map(speech)
      },
    }
  }

function detectionOf(detection: TurnDetection): Detection {
  if (detection.type === 'semantic_vad') return { type: 'semantic_vad', eagerness: detection.eagerness }
  const { threshold, prefix_padding_ms: prefixPaddingMs, silence_duration_ms: silenceMs } = detection
  return { type: 'server_vad', threshold, prefixPaddingMs, silenceMs }
}

const msOf = (samples: number): number => samples / (EAR_HZ / 1000)

/** Each event with how long there was speech in the turn so far, padding included. */
function speechOf(): (event: SpeechEvent) => Speech {
  let startSample = 0
  return (event) => {
    if (event.type === 'started') startSample = event.atSample
    const end = 'speechEndSample' in event ? event.speechEndSample : event.atSample
    return { type: 'speech', what: event.type, atMs: msOf(event.atSample), speechMs: msOf(end - startSample) }
  }
}
