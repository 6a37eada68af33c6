/**
 * Sixty dialogues with facts, changes of fact, and sentences that distract, by which memory's quality is measured. Each has a user of its own;
 * `wrong` was true before and must not be recalled any more.
 */

export type Dialogue = {
  readonly said: readonly string[]
  readonly asked: string
  readonly right: string
  readonly wrong?: string
}

type Fact = readonly [first: string, asked: string, later?: string]

/** A fact, a question for it, and for a third of them what replaced it later. */
const FACTS: readonly Fact[] = [
  ['My name is Sam.', 'What is my name?', 'My name is Alex.'],
  ['I live in Lisbon.', 'Where do I live?', 'I live in Prague.'],
  ['My dog is called Rex.', 'What is my dog called?', 'My dog is called Bello.'],
  ['My cat is called Mia.', 'What is the name of my cat?'],
  ['My favourite colour is green.', 'What is my favourite colour?', 'My favourite colour is blue.'],
  ['My favourite food is pizza.', 'What food do I like best?', 'My favourite food is soup.'],
  ['My birthday is in May.', 'When is my birthday?'],
  ['I work as a nurse.', 'What is my job?', 'I work as a teacher.'],
  ['I am allergic to peanuts.', 'What am I allergic to?'],
  ['I play the piano.', 'Which instrument do I play?'],
  ['My sister is called Maria.', 'What is my sister called?'],
  ['My brother is called Peter.', 'Who is my brother?'],
  ['I drive an old red car.', 'Which car do I drive?'],
  ['I have two children.', 'How many children do I have?'],
  ['I am 40 years old.', 'How old am I?', 'I am 41 years old.'],
  ['My favourite number is seven.', 'What is my favourite number?', 'My favourite number is nine.'],
  ['I like green tea.', 'Which tea do I like?'],
  ['I never drink coffee.', 'Do I drink coffee?'],
  ['My mother lives in Rome.', 'Where does my mother live?'],
  ['My father is a doctor.', 'What does my father do?'],
  ['I swim every Monday.', 'When do I swim?'],
  ['My kitchen light is broken.', 'Which light is broken?'],
  ['The name of my horse is Star.', 'What is my horse called?', 'The name of my horse is Moon.'],
  ['I was born in Dublin.', 'In which city was I born?'],
  ['My wife is called Julia.', 'What is my wife called?'],
  ['My phone is on the table.', 'Where is my phone?'],
  ['I have a garden with roses.', 'What grows in my garden?'],
  ['My school is near the river.', 'Where is my school?'],
  ['I read a book about the sea.', 'What is my book about?'],
  ['My alarm rings at six in the morning.', 'When does my alarm ring?'],
  ['I go to work by train.', 'How do I go to work?'],
  ['My favourite sport is tennis.', 'Which sport do I like best?', 'My favourite sport is football.'],
  ['I speak German and Spanish.', 'Which languages do I speak?'],
  ['My bank is in London.', 'In which city is my bank?'],
  ['I have a bird that can sing.', 'Which animal of mine can sing?'],
  ['My friend Tom comes on Friday.', 'When does my friend Tom come?'],
  ['I need glasses for reading.', 'What do I need glasses for?'],
  ['My computer is slow.', 'What is wrong with my computer?'],
  ['I like snow more than rain.', 'Which weather do I like?'],
  ['My house has a blue door.', 'Which colour is the door of my house?'],
  ['I play football on Sunday.', 'When do I play football?'],
  ['My doctor is called Baker.', 'What is my doctor called?', 'My doctor is called Miller.'],
  ['I eat fish for dinner.', 'What do I eat for dinner?'],
  ['My bicycle is in the garage.', 'Where is my bicycle?'],
  ['My favourite animal is the fox.', 'Which animal do I like best?', 'My favourite animal is the owl.'],
  ['I have a meeting on Tuesday.', 'When is my meeting?'],
  ['My office is on the third floor.', 'On which floor is my office?'],
  ['I learned the guitar from my aunt.', 'Who taught me the guitar?'],
  ['My holiday begins in August.', 'When does my holiday begin?'],
  ['I sleep with the window open.', 'How do I like to sleep?'],
  ['My favourite song is about the moon.', 'What is my favourite song about?'],
  ['I keep my keys in the drawer.', 'Where do I keep my keys?'],
  ['My son is called Ben.', 'What is my son called?', 'My son is called Leo.'],
  ['My daughter plays the violin.', 'What does my daughter play?'],
  ['I moved to Berlin.', 'Which city did I move to?', 'I moved to Vienna.'],
  ['My neighbour has a loud radio.', 'Who has a loud radio?'],
  ['I take medicine in the evening.', 'When do I take my medicine?'],
  ['My favourite month is June.', 'Which month do I like best?', 'My favourite month is April.'],
  ['I cook soup on Saturday.', 'When do I cook soup?'],
  ['My grandmother is called Rosa.', 'What is my grandmother called?'],
]

/** Said between the facts: some are kept too, some are commands and questions. */
const DISTRACTIONS = [
  'I like long walks.',
  'Turn on the lamp.',
  'My day was long.',
  'What time is it?',
  'I saw a film yesterday.',
  'My shoes are wet.',
  'Tell me a joke.',
  'I bought milk and bread.',
  'We had a party last week.',
  'My head hurts a little.',
  'I heard a strange noise.',
  'My plants need water.',
] as const

/** Other people's facts of the dialogue, which are also kept: memory has to tell them from the one that is asked for. */
const OTHERS = 6

const fact = (at: number): Fact => FACTS[at % FACTS.length] ?? ['', '']

export const DIALOGUES: readonly Dialogue[] = FACTS.map(([first, asked, later], at) => {
  const own = topicWords(first)
  const others = FACTS.keys()
    .map((step) => fact(at + 7 * (step + 1))[0])
    .filter((other) => other !== first && topicWords(other) !== own)
    .take(OTHERS)
    .toArray()
  const distractions = [0, 5, 7].map((step) => DISTRACTIONS[(at + step) % DISTRACTIONS.length] ?? '')
  const said = [first, ...others.slice(0, 3), ...distractions, ...(later ? [later] : []), ...others.slice(3)]
  return { said, asked, right: later ?? first, ...(later !== undefined && { wrong: first }) }
})

/** Two facts with the same beginning would replace each other. */
function topicWords(text: string): string {
  return text.split(' ').slice(0, 3).join(' ')
}
