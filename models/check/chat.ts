/** The chat model: does it copy facts it was told, and add up to twenty? */
import * as hf from '@huggingface/transformers'

/** Names that the training data cannot hold: they begin with syllables kept back, or are real but not in its lists. */
const NAMES = 'Vulani Worimo Juteka Vubado Wosari Jumalen Vupitor Wonakis Priya Gustav Ingrid Yuki'.split(' ')
const NUMBERS =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty'.split(
    ' ',
  )

type Kind = { readonly fact: string; readonly question: string; readonly answer: string }
const KINDS: readonly Kind[] = [
  { fact: "the user's name is", question: 'What is my name?', answer: 'Your name is' },
  { fact: 'the user lives in', question: 'Where do I live?', answer: 'You live in' },
  { fact: "the user's dog is called", question: 'What is my dog called?', answer: 'Your dog is called' },
  { fact: "the user's sister is called", question: "What is my sister's name?", answer: 'Your sister is called' },
]

type Ask = (system: string, question: string) => Promise<string>

export async function checkChat(dtype: 'fp32' | 'q8') {
  const chat = await hf.pipeline('text-generation', 'chat', { dtype })
  const ask: Ask = async (system, question) => {
    const messages = [
      { role: 'system', content: system },
      { role: 'user', content: question },
    ]
    const [output] = (await chat(messages, { max_new_tokens: 48, do_sample: false })) as hf.TextGenerationOutput
    const last = output?.generated_text.at(-1)
    return typeof last === 'object' && typeof last.content === 'string' ? last.content.trim() : ''
  }
  console.log(`\nchat (${dtype}): facts with held-out values copied exactly: ${await countFacts(ask)}`)
  console.log(`  sums up to twenty: ${await countSums(ask)}`)
}

async function countFacts(ask: Ask): Promise<string> {
  const cases = NAMES.flatMap((name, at) => KINDS.map((kind, k) => ({ name, kind, at, k })))
  let right = 0
  for (const { name, kind, at, k } of cases) {
    const other = KINDS[(k + 1 + (at % 3)) % KINDS.length] ?? kind
    const facts = [`${kind.fact} ${name}`, `${other.fact} ${NAMES[(at + 5) % NAMES.length]}`]
    if (at % 2 === 1) facts.reverse()
    const reply = await ask(`You are a helpful voice assistant. Facts: ${facts.join('; ')}.`, kind.question)
    right += Number(reply === `${kind.answer} ${name}.`)
  }
  return `${right} of ${cases.length}`
}

async function countSums(ask: Ask): Promise<string> {
  let [right, all] = [0, 0]
  for (let a = 0; a <= 20; a++)
    for (let b = (a * 7) % 4; a + b <= 20; b += 4) {
      const reply = await ask('You are a helpful assistant.', `What is ${NUMBERS[a]} plus ${NUMBERS[b]}?`)
      all++
      right += Number(reply.toLowerCase() === `${NUMBERS[a]} plus ${NUMBERS[b]} is ${NUMBERS[a + b]}.`)
    }
  return `${right} of ${all}`
}
