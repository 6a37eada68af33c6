/**
 * What is done to a session in Redis, as scripts: each is one step that no other replica can get between. All clocks are Redis'
 * own. Keys are made in here from the owner and the id, so they need one Redis, not a cluster.
 *
 *   data:<owner>:<id>        hash: born (names this beginning of the session), summary
 *   turns:<owner>:<id>       list of exchanges, oldest first
 *   lease:<owner>:<id>       the token of the turn that is in it
 *   line:<owner>:<id>        tokens that wait, scored by when they have given up; tokens sort by arrival
 *   condensing:<owner>:<id>  somebody writes its summary
 *   deleted                  <born>:<owner>:<id> of what nobody may write back, scored by when it was deleted
 *   index, index:<owner>     sessions scored by last use
 */
import { createHash } from 'node:crypto'

export const PREFIX = 'hearth:session:'

/** KEYS[1] is the prefix; ARGV begins with the owner, the id and the idle time in milliseconds. */
const COMMON = `
local prefix, owner, id, idle = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local name = owner .. ':' .. id
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function key(part, of) return prefix .. part .. ':' .. (of or name) end
local index, deleted = prefix .. 'index', prefix .. 'deleted'

local function isDeleted(born) return redis.call('ZSCORE', deleted, born .. ':' .. name) end

local function touch()
  redis.call('ZADD', index, now, name)
  redis.call('ZADD', key('index', owner), now, id)
  for _, part in ipairs({ key('data'), key('turns'), key('index', owner), index }) do redis.call('PEXPIRE', part, idle) end
end

local function forget(of)
  local its, rest = string.match(of, '^([^:]*):(.*)$')
  redis.call('DEL', key('data', of), key('turns', of))
  redis.call('ZREM', index, of)
  redis.call('ZREM', key('index', its), rest)
end

-- False when every session is in use.
local function makeRoom(most)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now - idle)
  local over, busy = redis.call('ZCARD', index) - most + 1, 0
  while over > 0 do
    local oldest = redis.call('ZRANGE', index, busy, busy)[1]
    if not oldest then return false end
    if redis.call('EXISTS', key('lease', oldest)) == 1 then busy = busy + 1 else forget(oldest); over = over - 1 end
  end
  return true
end
`

/**
 * Enters the session when the line before `token` is empty and nobody is in it. `seen` and `summary` are what the replica knows of
 * it. -> deleted | busy, born | full | known or new, born, summary, ...exchanges
 */
const TAKE = `
local token, leaseMs, askMs = ARGV[4], ARGV[5], tonumber(ARGV[6])
local seen, summary, most = ARGV[7], ARGV[8], tonumber(ARGV[9])
if isDeleted(seen) then return { 'deleted' } end
local born = redis.call('HGET', key('data'), 'born')
local line = key('line')
redis.call('ZREMRANGEBYSCORE', line, '-inf', now)
redis.call('ZADD', line, now + askMs, token)
redis.call('PEXPIRE', line, askMs)
for _, other in ipairs(redis.call('ZRANGE', line, 0, -1)) do
  if other < token then return { 'busy', born or '' } end
end
if not redis.call('SET', key('lease'), token, 'NX', 'PX', leaseMs) then return { 'busy', born or '' } end
redis.call('ZREM', line, token)
local state = 'known'
if not born then
  if not makeRoom(most) then
    redis.call('DEL', key('lease'))
    return { 'full' }
  end
  state, born = 'new', seen
  redis.call('HSET', key('data'), 'born', born, 'summary', summary)
end
touch()
return { state, born, redis.call('HGET', key('data'), 'summary'), unpack(redis.call('LRANGE', key('turns'), 0, -1)) }
`

/** -> deleted | held | missing | mine */
const RENEW = `
local token, leaseMs, born = ARGV[4], ARGV[5], ARGV[6]
if isDeleted(born) then return 'deleted' end
local holder = redis.call('GET', key('lease'))
if holder and holder ~= token then return 'held' end
redis.call('SET', key('lease'), token, 'PX', leaseMs)
if redis.call('EXISTS', key('data')) == 0 then return 'missing' end
touch()
return 'mine'
`

const LEAVE = `
redis.call('ZREM', key('line'), ARGV[4])
if redis.call('GET', key('lease')) == ARGV[4] then redis.call('DEL', key('lease')) end
return 'left'
`

/** An exchange that is there already is left alone, so that an answer that got lost may be asked for again. -> deleted | missing | born */
const APPEND = `
local born, summary, mayBegin, most, maxTurns = ARGV[4], ARGV[5], ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
if isDeleted(born) then return 'deleted' end
local known = redis.call('HGET', key('data'), 'born')
if not known then
  if not mayBegin then return 'missing' end
  makeRoom(most)
  redis.call('HSET', key('data'), 'born', born, 'summary', summary)
end
for n = 9, #ARGV do
  if not redis.call('LPOS', key('turns'), ARGV[n]) then redis.call('RPUSH', key('turns'), ARGV[n]) end
end
redis.call('LTRIM', key('turns'), -maxTurns, -1)
touch()
return { known or born }
`

/** -> nothing | last use, summary, ...exchanges */
const READ = `
local born = redis.call('HGET', key('data'), 'born')
if not born then return {} end
local usedAt, summary = redis.call('ZSCORE', index, name), redis.call('HGET', key('data'), 'summary')
return { usedAt or tostring(now), summary, unpack(redis.call('LRANGE', key('turns'), 0, -1)) }
`

/** ARGV[4]: how many at most. -> ...(id, last use, turns) */
const LIST = `
redis.call('ZREMRANGEBYSCORE', key('index', owner), '-inf', now - idle)
local found = redis.call('ZREVRANGE', key('index', owner), 0, ARGV[4] - 1, 'WITHSCORES')
local listed = {}
for n = 1, #found, 2 do
  local turns = redis.call('LLEN', key('turns', owner .. ':' .. found[n]))
  table.insert(listed, { found[n], found[n + 1], tostring(turns) })
end
return listed
`

/** ARGV[4]: the beginning that the replica knows; ARGV[5]: how long it is known to be deleted. -> 1 | 0 */
const DELETE = `
local born = redis.call('HGET', key('data'), 'born')
for _, gone in ipairs({ ARGV[4], born or '' }) do
  if gone ~= '' then redis.call('ZADD', deleted, now, gone .. ':' .. name) end
end
redis.call('ZREMRANGEBYSCORE', deleted, '-inf', now - ARGV[5])
redis.call('PEXPIRE', deleted, ARGV[5])
forget(name)
redis.call('DEL', key('lease'), key('condensing'))
return born and 1 or 0
`

/** What was deleted since ARGV[4], or nothing when that is empty. -> now, (born:owner:id)[] */
const DELETIONS = `
return { tostring(now), ARGV[4] == '' and {} or redis.call('ZRANGEBYSCORE', deleted, ARGV[4], '+inf') }
`

/** For who knows the summary as it stands, ARGV[5]: who doesn't would write another one in its place. -> 1 | 0 */
const CLAIM = `
if redis.call('HGET', key('data'), 'summary') ~= ARGV[5] then return 0 end
return redis.call('SET', key('condensing'), '1', 'NX', 'PX', ARGV[4]) and 1 or 0
`

/** Everything up to the exchange ARGV[5] is in the summary ARGV[6] now. -> 1 | 0 */
const CONDENSE = `
redis.call('DEL', key('condensing'))
if redis.call('HGET', key('data'), 'born') ~= ARGV[4] then return 0 end
local last = redis.call('LPOS', key('turns'), ARGV[5])
if not last then return 0 end
redis.call('LTRIM', key('turns'), last + 1, -1)
redis.call('HSET', key('data'), 'summary', ARGV[6])
return 1
`

const script = (body: string) => {
  const text = COMMON + body
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

export type Script = ReturnType<typeof script>

export const SCRIPTS = {
  take: script(TAKE),
  renew: script(RENEW),
  leave: script(LEAVE),
  append: script(APPEND),
  read: script(READ),
  list: script(LIST),
  delete: script(DELETE),
  deletions: script(DELETIONS),
  claim: script(CLAIM),
  condense: script(CONDENSE),
}
