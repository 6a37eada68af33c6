/** Wires the page: what the reader does to the conversation, and what comes of it to what is seen. */
import type { ModelStatus } from '@hearth/shared/api'
import type { Choices } from './client-events.ts'
import { EMPTY } from './conversation.ts'
import { areReady, standingOf } from './connection-words.ts'
import { conversationView } from './conversation-view.ts'
import type { TalkMode } from './conversation-view.ts'
import { byId } from './dom.ts'
import { askForKey, setUpDetails, setUpTabs, setUpTheme, showAdvice } from './frame.ts'
import type { Wait } from './latency.ts'
import { memoryView } from './memory-view.ts'
import { runSelfTest } from './self-test.ts'
import type { TurnReport } from './server-events.ts'
import { Server, wordsOf } from './server.ts'
import { showSessions } from './sessions-view.ts'
import { setUpSettings } from './settings-view.ts'
import { currentSession, keepSession, newSession } from './settings.ts'
import type { SocketState } from './socket.ts'
import { showFindings, showModels, showQueue, showSelfTest } from './system-view.ts'
import { setUpTalkControl } from './talk-control.ts'
import { Talk } from './talk.ts'
import type { ShownEffect } from './talk.ts'
import { showLatency, showWaterfall } from './timing-view.ts'

const LOOK_AGAIN_MS = 5000

const server = new Server(askForKey)
const waits: Wait[] = []
const notice = (text: string) => showAdvice({ title: 'Something went wrong', text })
const openDetails = setUpDetails()
const memories = memoryView(server, () => settings.user, notice)
const showTab = setUpTabs((name) => void shown(name))
const showConversation = conversationView((turn) => {
  showTurn(turn)
  showTab('timing')
  openDetails()
})
const modeInputs = document.querySelectorAll<HTMLInputElement>('#mode input')
const isHandsFree = () => document.querySelector<HTMLInputElement>('#mode input:checked')?.value === 'hands-free'
const talkButton = byId('talk', HTMLButtonElement)
const mode = (): TalkMode => {
  if (!isHandsFree()) return 'button'
  return talkButton.getAttribute('aria-pressed') === 'true' ? 'hands-free' : 'paused'
}
const settings = setUpSettings(server, (isOtherUser) => void (isOtherUser ? openSession(newSession()) : talk.settle()))
const choices = (): Choices => ({ ...settings, isHandsFree: isHandsFree() })

let session = currentSession()
let conversation = EMPTY
let models: readonly ModelStatus[] = []
let connection: SocketState = 'connecting'

const talk = new Talk({
  server,
  choices,
  place: () => ({ session, user: settings.user }),
  view: {
    onConversation: (now) => {
      conversation = now
      showConversation(now, mode())
    },
    onEffect: tell,
    onConnection: (state) => {
      connection = state
      showState()
    },
    onRecording: (isRecording) => {
      talkButton.setAttribute('aria-pressed', String(isRecording))
      showConversation(conversation, mode())
    },
    onLevel: (level) => talkButton.style.setProperty('--level', level.toFixed(2)),
    onWait: (wait) => {
      waits.push(wait)
      showLatency(waits)
    },
    onAdvice: showAdvice,
  },
})

setUpTheme()
setUpTalkControl(talk, isHandsFree)
byId('typing', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  const input = byId('text', HTMLInputElement)
  const text = input.value.trim()
  input.value = ''
  if (text !== '') talk.type(text)
})
for (const input of modeInputs) input.addEventListener('change', () => void changeMode())
byId('new', HTMLButtonElement).addEventListener('click', () => void openSession(newSession()))
byId('silence', HTMLButtonElement).addEventListener('click', () => talk.silence())
byId('self-test', HTMLButtonElement).addEventListener('click', (event) => void work(event, selfTest))
byId('doctor', HTMLButtonElement).addEventListener(
  'click',
  (event) => void work(event, async () => showFindings(await server.doctor())),
)
document.addEventListener('visibilitychange', () => {
  if (document.hidden) void talk.rest()
})
setInterval(() => {
  if (byId('panel-system', HTMLDivElement).checkVisibility() && !document.hidden) void lookAtSystem()
}, LOOK_AGAIN_MS)
void openSession(session)
void look()

/** With what is kept of it, if there is anything. */
async function openSession(id: string): Promise<void> {
  session = id
  keepSession(id)
  const { user } = settings
  const kept = await server.sessions(user).catch(() => [])
  const isKept = kept.some((one) => one.id === id)
  talk.begin(isKept ? await server.history(user, id).catch(() => []) : [])
}

async function changeMode(): Promise<void> {
  if (await talk.settle()) return
  const [byButton] = modeInputs
  if (byButton) byButton.checked = true
  await talk.settle()
}

function tell(effect: ShownEffect): void {
  if (effect.type === 'report') showTurn(effect.turn)
  else if (effect.type === 'models') showStatus(effect.models)
  else if (effect.type === 'notice') notice(effect.text)
  else announce(effect.role, effect.text)
}

/** A reply that is heard needs no second voice to read it. */
function announce(role: 'user' | 'assistant', text: string): void {
  if (role === 'assistant' && waits.length > 0) return
  byId('announcer', HTMLParagraphElement).textContent = role === 'user' ? `You said: ${text}` : text
}

function showTurn(turn: TurnReport): void {
  showWaterfall(turn)
  memories.used(turn.memories)
}

function showStatus(now: readonly ModelStatus[]): void {
  models = now
  showModels(now)
  showState()
}

function showState(): void {
  const element = byId('state', HTMLParagraphElement)
  const { state, words } = standingOf(connection, models)
  element.dataset['state'] = state
  if (element.textContent !== words) element.textContent = words
}

/** The state of the models: told by the socket while it is open, asked for at the beginning and while it is not. */
async function look(): Promise<void> {
  const now = await server.models().catch(() => models)
  showStatus(now)
  if (!areReady(now) || connection !== 'open') setTimeout(() => void look(), LOOK_AGAIN_MS)
}

async function shown(tab: string): Promise<void> {
  if (tab === 'memory') await memories.refresh()
  if (tab === 'system') await lookAtSystem()
  if (tab !== 'settings') return
  // A link can't bring the key.
  byId('reference', HTMLParagraphElement).hidden = server.key !== null
  await showSessions(server, { user: settings.user, session }, (id) => void openSession(id))
}

async function lookAtSystem(): Promise<void> {
  showStatus(await server.models().catch(() => models))
  showQueue(await server.metrics().catch(() => ''))
}

async function selfTest(): Promise<void> {
  const fetch = (path: string, init: RequestInit) => server.fetch(path, init)
  showSelfTest(await runSelfTest({ fetch, voice: settings.voice, now: () => performance.now() }))
}

/** While a button's work is under way it can't be begun again. */
async function work(event: Event, run: () => Promise<void>): Promise<void> {
  const button = event.currentTarget
  if (button instanceof HTMLButtonElement) button.disabled = true
  await run().catch((error: unknown) => notice(wordsOf(error)))
  if (button instanceof HTMLButtonElement) button.disabled = false
}
