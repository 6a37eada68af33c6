/** MiniLM: does the right fact come first among sixteen? */
import * as hf from '@huggingface/transformers'
import { mean } from './speech.ts'

const FACTS = [
  "The user's name is Sam.",
  "The user's favourite colour is blue.",
  'The user lives in Berlin.',
  "The user's dog is called Rex.",
  'A timer for ten minutes was set.',
  'It will rain in London tomorrow.',
  'The kitchen lights are off.',
  'The meeting with Peter is on Friday.',
  'The car needs new brakes.',
  'Bread and milk are on the shopping list.',
  'The doctor said to take the medicine twice a day.',
  'Install the package with the package manager.',
  'The server returned an error because the disk was full.',
  'The library opens at nine in the morning.',
  'Anna plays tennis every Sunday.',
  'The train to Paris leaves from platform four.',
]

type Question = readonly [text: string, fact: number, sharesWord: boolean]
const QUESTIONS: readonly Question[] = [
  ['What is my name?', 0, true],
  ['Which colour do I like?', 1, true],
  ['my favorite color', 1, false],
  ['Where do I live?', 2, true],
  ['what is the dog called', 3, true],
  ['Do I have a puppy?', 3, false],
  ['how much time is left on the timer', 4, true],
  ['will it be raining in London', 5, true],
  ['do I need an umbrella tomorrow', 5, true],
  ['is the lamp in the kitchen on', 6, true],
  ['when do I meet Peter', 7, true],
  ['which vehicle has a problem', 8, false],
  ['what must I buy when shopping', 9, true],
  ['when to take my medicine', 10, true],
  ['why did the hospital call', 10, false],
  ['how do I install packages', 11, true],
  ['what went wrong with the server', 12, true],
  ['when does the library open', 13, true],
  ['what sport does Anna play', 14, true],
  ['which platform for the train', 15, true],
]

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, at) => sum + x * (b[at] ?? 0), 0)

export async function checkMiniLm(dtype: 'fp32' | 'q8') {
  const embed = await hf.pipeline('feature-extraction', 'minilm', { dtype })
  const vectors = async (texts: readonly string[]) =>
    (await embed([...texts], { pooling: 'mean', normalize: true })).tolist() as number[][]
  const facts = await vectors(FACTS)
  const questions = await vectors(QUESTIONS.map(([text]) => text))
  const ranks = questions.map((question, at) => {
    const own = dot(question, facts[QUESTIONS[at]?.[1] ?? 0] ?? [])
    return 1 + facts.filter((fact) => dot(question, fact) > own).length
  })
  const first = (shares: boolean) => {
    const kept = ranks.filter((_, at) => QUESTIONS[at]?.[2] === shares)
    return `${kept.filter((rank) => rank === 1).length} of ${kept.length}`
  }
  console.log(
    `\nminilm (${dtype}): right fact first, questions that share a word ${first(true)}, related words only ${first(false)};` +
      ` mean reciprocal rank ${mean(ranks.map((rank) => 1 / rank)).toFixed(2)}`,
  )
}
