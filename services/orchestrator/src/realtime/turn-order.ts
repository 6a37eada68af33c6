/** A response's order as the input of a turn: what is asked, what was said before, and the stages that it does without. */
import { detectLanguage } from '../detect-language.ts'
import type { Heard } from '../stages/stt.ts'
import type { Exchange, Stages, TurnInput } from '../turn-events.ts'
import { conversationOf } from './items.ts'
import type { Conversation, Item } from './items.ts'
import type { ReplyConfig } from './session-config.ts'
import type { Order } from './session-state.ts'

/** What the model is asked when it is to speak and nobody has said anything. */
const OPENING = 'Please say something to begin with, or to go on.'

/** What is heard in sounds whose words nobody knows yet, by item. */
export type Hearings = ReadonlyMap<string, Promise<Heard>>

export type Asked = Pick<TurnInput, 'said'> & {
  readonly history: readonly Exchange[]
  readonly system: readonly string[]
  /** Whether somebody said it, and Hearth does not speak of its own. */
  readonly isSaid: boolean
}

/** Waits for the words of all sounds but the one that is the question: that one the turn hears itself. */
export async function askedOf(order: Order, hearings: Hearings): Promise<Asked> {
  const items = await Promise.all(
    order.items.filter(({ id }) => id !== order.soundOf).map((item) => known(item, hearings)),
  )
  const conversation = conversationOf(items)
  const { system } = conversation
  // The file itself is with whoever hears it.
  if (order.soundOf !== null)
    return { said: { wav: new Uint8Array(0) }, history: withOpen(conversation), system, isSaid: true }
  return { ...wordsOf(conversation, order), system, isSaid: conversation.user !== '' }
}

async function known(item: Item, hearings: Hearings): Promise<Item> {
  if (item.type !== 'message' || item.text !== null) return item
  const text = await hearings.get(item.id)?.then(
    (heard) => heard.text,
    () => '',
  )
  return item.role === 'assistant' ? item : { ...item, text: text ?? '' }
}

/** What still waits for an answer when something new is said. */
const withOpen = ({ history, user, results }: Conversation): Exchange[] =>
  user === '' && results.length === 0 ? [...history] : [...history, { user, results, reply: '' }]

function wordsOf(conversation: Conversation, { config, recite }: Order): Pick<Asked, 'said' | 'history'> {
  const { history, user, results } = conversation
  if (results.length > 0 && user === '') {
    const text = history.findLast((exchange) => exchange.user !== '')?.user || OPENING
    return { said: { text, model: null, language: detectLanguage(text), results }, history }
  }
  const before = results.length > 0 ? [...history, { user: '', results, reply: '' }] : history
  const text = user || recite || config.instructions.trim() || OPENING
  return { said: { text, model: null, language: detectLanguage(text) }, history: before }
}

/** How the language model is to write. */
export function writingOf({
  maxTokens,
  temperature,
  tools,
  toolChoice,
}: ReplyConfig): NonNullable<TurnInput['writing']> {
  const choice = typeof toolChoice === 'string' ? toolChoice : { name: toolChoice.name }
  const specs = tools.map(({ name, description, parameters }) => ({
    name,
    ...(description != null && { description }),
    ...(parameters != null && { parameters }),
  }))
  return {
    ...(maxTokens !== 'inf' && { maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(specs.length > 0 && { tools: specs, toolChoice: choice }),
  }
}

export type StageParts = {
  readonly stages: Stages
  /** Of the sound that is the question. */
  readonly heard: Promise<Heard> | undefined
  readonly remember: Stages['memory']['remember']
}

/** The stages as this turn passes them: its words are being heard already, and what is to be recited needs no mind. */
export function stagesFor({ recite, config }: Order, { stages, heard, remember }: StageParts): Stages {
  const { stt, memory, llm, tts } = stages
  const reciter: Stages['llm'] = {
    name: llm.name,
    async *reply() {
      yield { text: recite ?? '', model: llm.name }
    },
  }
  return {
    stt: heard ? { transcribe: () => heard } : stt,
    memory: { recall: (text, user, signal) => memory.recall(text, user, signal), remember },
    llm: recite === null ? llm : reciter,
    tts: { ...tts, speak: (text, voice, signal) => tts.speak(text, voice, signal, config.speed) },
  }
}
