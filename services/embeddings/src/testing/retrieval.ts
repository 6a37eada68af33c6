/** A small search with known answers, by which a lighter form of a model has to prove that it still finds what the full one finds. */

/** A question, and the statement that answers it; every other statement is a wrong answer. */
export const RETRIEVAL_PAIRS: readonly (readonly [question: string, statement: string])[] = [
  ['What is my name?', 'My name is Anna.'],
  ['Where do I live?', 'I live in Lisbon.'],
  ["What is my dog's name?", 'My dog is called Rex.'],
  ['When is my birthday?', 'My birthday is on the fourth of May.'],
  ['What is my favourite colour?', 'My favourite colour is green.'],
  ['What do I do for a living?', 'I work as a nurse.'],
  ['What can I not eat?', 'I am allergic to peanuts.'],
  ['What do I like to drink?', 'I like to drink black tea.'],
  ['Which instrument do I play?', 'I play the piano.'],
  ['Where did I go to school?', 'I went to school in Dublin.'],
  ['Who is my sister?', 'My sister is called Maria.'],
  ['What car do I drive?', 'I drive an old red car.'],
  ['Which languages do I speak?', 'I speak German and Spanish.'],
  ['What is my favourite food?', 'My favourite food is pizza.'],
  ['What time do I get up?', 'I get up at six in the morning.'],
  ['Which team do I support?', 'I support the local football team.'],
  ['How many children do I have?', 'I have two children.'],
  ['What is my wife called?', 'My wife is called Julia.'],
  ['Do I have a garden?', 'I have a small garden with roses.'],
  ['Which book am I reading?', 'I am reading a book about the sea.'],
]

export type Retrieved = {
  /** For each question, which statement was nearest. */
  readonly first: readonly number[]
  /** Share of the questions whose own statement was nearest. */
  readonly share: number
}

/** Unit vectors of the questions and of the statements, both in the order of the pairs. */
export function retrieve(questions: readonly Float32Array[], statements: readonly Float32Array[]): Retrieved {
  const first = questions.map((question) => {
    const scores = statements.map((statement) => dot(question, statement))
    return scores.indexOf(Math.max(...scores))
  })
  return { first, share: first.filter((found, own) => found === own).length / first.length }
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, at) => sum + x * (b[at] ?? Number.NaN), 0)
