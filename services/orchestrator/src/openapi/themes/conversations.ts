/** What is kept of conversations: sessions, and single turns. */
import type { Theme } from '../operation.ts'
import { SessionQuery } from '../../session-routes.ts'
import { Session, SessionList, Turn } from '../replies.ts'

export const CONVERSATIONS: Theme = {
  name: 'Sessions and turns',
  description: `What is kept of conversations, for whoever wants to see it or to have it forgotten. Each session belongs to a user; the same name of another user is another session.

A session keeps \`SESSION_MAX_TURNS\` exchanges. When it has that many, or more than 4000 characters, the language model shortens all but the newest half into \`summary\`, behind the turns and within 20 s.
Only a server (Ollama, \`LLM_URL\`) does that, never the embedded model, which writes one reply at a time; without one the oldest exchanges just go.

While Redis is away, these routes know only the sessions of one process: what isn’t found there, or may still be in Redis after a \`DELETE\`, is 503 \`dependency_unavailable\`.`,
  operations: [
    {
      method: 'get',
      path: '/sessions',
      id: 'listSessions',
      summary: 'The conversations in progress',
      query: SessionQuery,
      replies: { 200: { description: 'All of them.', content: { 'application/json': SessionList } } },
      errors: [],
      examples: [{}],
    },
    {
      method: 'get',
      path: '/sessions/{id}',
      id: 'readSession',
      summary: 'What was said in one',
      parameters: { id: 'The session.' },
      query: SessionQuery,
      replies: { 200: { description: 'The session.', content: { 'application/json': Session } } },
      errors: ['session_not_found', 'dependency_unavailable'],
      examples: [{ path: { id: 'kitchen' } }],
    },
    {
      method: 'delete',
      path: '/sessions/{id}',
      id: 'deleteSession',
      summary: 'Forget a conversation',
      description:
        'A turn that runs in it ends with 404 `session_not_found`, and so do those that wait, in other replicas within a second; its turns’ records go too. What memory has learned stays.',
      parameters: { id: 'The session.' },
      query: SessionQuery,
      replies: { 204: { description: 'It is gone.' } },
      errors: ['session_not_found', 'dependency_unavailable'],
      examples: [{ path: { id: 'kitchen' } }],
    },
    {
      method: 'get',
      path: '/turns/{id}',
      id: 'readTurn',
      summary: 'One turn, and where its time went',
      description: 'Also while it runs. The last 1000 turns are kept for an hour, in memory.',
      parameters: { id: 'The turn: `turn` of a reply, or its header `x-turn`.' },
      replies: { 200: { description: 'The turn.', content: { 'application/json': Turn } } },
      errors: ['not_found'],
      examples: [{ path: { id: 'turn_pLvY1tqPyOoTHWvdZLGzMUJ6' } }],
    },
  ],
}
