/**
 * Starts: seconds from process start to listening, ready and first answer, for each preload policy, beside one process that loads the three
 * models one after another, with and without one inference of each as its warm-up (goal: ready at least twice as fast); what each step of a start takes of the processor; a request
 * between ready and warm, and the first one after it, against the later ones for each service and length (goal: at most 1.1 times); the set-up of a connection (goal: at most 10 ms); memory with the models loaded and unloaded. Random weights in the
 * shapes of Whisper base, MiniLM-L6 and, where `--kokoro` names a folder that models/train/kokoro_shapes.py made, Kokoro-82M.
 *
 *   npm run bench -- boot [--kokoro <folder>] [--rounds 3] [--only starts|steps|requests|memory]
 */
import { parseArgs } from 'node:util'
import { benchMemory } from './boot-memory.ts'
import { modelFolders } from './boot-models.ts'
import { benchRequests } from './boot-requests.ts'
import { benchStarts } from './boot-starts.ts'
import { benchSteps } from './boot-steps.ts'

const { values } = parseArgs({
  options: { kokoro: { type: 'string' }, rounds: { type: 'string', default: '3' }, only: { type: 'string' } },
})
const rounds = Number(values.rounds)
const folders = await modelFolders(values.kokoro)
const isWanted = (part: string) => values.only === undefined || values.only === part
if (isWanted('starts')) await benchStarts(folders, rounds)
if (isWanted('steps')) await benchSteps(folders)
if (isWanted('requests')) await benchRequests(folders, rounds)
if (isWanted('memory')) await benchMemory(folders)
