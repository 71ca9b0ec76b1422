/** A Lua script: static text, what varies comes in as keys and arguments. */
export interface Script {
  readonly text: string;
  /** SHA-1 of the text, as Redis names it. */
  readonly sha: string;
}

/**
 * What holds for all of them: a script is one step to everybody else and to the append-only file.
 * Redis refuses a script (full memory, replica, disk) at its first write or not at all, so a refused
 * one has changed nothing; what frees memory comes first, so that it goes through when memory is full.
 *
 * Meta is a hash: `epoch`, `commit`, `meta` (bytes), `staged` (numbers of staged bases, joined by
 * commas), `pieces` (of the base), `logCount` and `logBytes` (deltas in the log and their size). What
 * is counted there and is gone was evicted or removed: a CORRUPT reply, never a restore in part.
 */
function script(text: string): Script {
  return { text, sha: new Bun.CryptoHasher("sha1").update(text).digest("hex") };
}

/**
 * KEYS meta, base, log → [epoch, commit, meta, log length, log bytes, index, bytes, index, bytes …]
 * where the pairs are the pieces of the base. Drops staged bases and what no commit counted.
 * Repeated: one more epoch.
 */
export const acquireScript = script(`
local stored = redis.call('HMGET', KEYS[1], 'commit', 'meta', 'staged', 'logCount', 'logBytes', 'pieces')
local count = tonumber(stored[4] or '0')
local length = redis.call('LLEN', KEYS[3])
local pieces = redis.call('HKEYS', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 0 and length + #pieces > 0 then
  return redis.error_reply('CORRUPT there is a base or log and no meta')
end
if length < count then
  return redis.error_reply('CORRUPT the log has ' .. length .. ' deltas of ' .. count)
end
if #pieces ~= tonumber(stored[6] or '0') then
  return redis.error_reply('CORRUPT the base has ' .. #pieces .. ' pieces of ' .. (stored[6] or '0'))
end
if stored[3] then
  for n in string.gmatch(stored[3], '%d+') do redis.call('UNLINK', KEYS[2] .. '.' .. n) end
  redis.call('HDEL', KEYS[1], 'staged')
end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
if count == 0 then redis.call('UNLINK', KEYS[3]) else redis.call('LTRIM', KEYS[3], 0, count - 1) end
local reply = {epoch, stored[1], stored[2], count, stored[5]}
for _, index in ipairs(pieces) do
  reply[#reply + 1] = index
  reply[#reply + 1] = redis.call('HSTRLEN', KEYS[2], index)
end
return reply
`);

/** KEYS meta, base.{n}; ARGV epoch, n, index, bytes → OK or FENCED. Repeated: the same piece. */
export const stageScript = script(`
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'staged')
if stored[1] ~= ARGV[1] then return 'FENCED' end
if tonumber(ARGV[2]) <= tonumber(stored[2] or '0') then return 'OK' end
local staged = stored[3] or ''
if not string.find(',' .. staged .. ',', ',' .. ARGV[2] .. ',', 1, true) then
  redis.call('HSET', KEYS[1], 'staged', staged == '' and ARGV[2] or staged .. ',' .. ARGV[2])
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return 'OK'
`);

/**
 * KEYS meta, base, log; ARGV epoch, n, meta, delta, swapsBase (0 or 1), isPushed (0 or 1), bytes of
 * the delta → OK, FENCED, DUP, GAP, or UNSENT if the log holds more than was counted. Repeated after
 * OK: DUP.
 *
 * Lua hashes every byte of an argument (1.3 ns a byte), so a large delta is no argument: it was
 * pushed to the log by the command before, in the same MULTI (`isPushed`), and any result but OK
 * takes it off again; UNSENT cuts off all that no commit counted. A staged base whose number has
 * gone by is dropped.
 */
export const commitScript = script(`
local isPushed = ARGV[6] == '1'
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'staged', 'logCount')
local last = tonumber(stored[2] or '0')
local count = tonumber(stored[4] or '0')
local commit = tonumber(ARGV[2])
local length = redis.call('LLEN', KEYS[3]) - tonumber(ARGV[6])
local refusal
if stored[1] ~= ARGV[1] then refusal = 'FENCED'
elseif commit <= last then refusal = 'DUP'
elseif commit ~= last + 1 then refusal = 'GAP'
elseif length > count then refusal = 'UNSENT'
elseif length < count then
  refusal = redis.error_reply('CORRUPT the log has ' .. length .. ' deltas of ' .. count)
end
if refusal then
  if isPushed or refusal == 'UNSENT' then
    local kept = refusal == 'UNSENT' and count or length
    if kept == 0 then redis.call('UNLINK', KEYS[3]) else redis.call('LTRIM', KEYS[3], 0, kept - 1) end
  end
  return refusal
end
if ARGV[5] == '1' then
  local base = KEYS[2] .. '.' .. ARGV[2]
  redis.call('UNLINK', KEYS[2])
  if redis.call('EXISTS', base) == 1 then redis.call('RENAME', base, KEYS[2]) end
  if isPushed then redis.call('LTRIM', KEYS[3], -1, -1) else redis.call('UNLINK', KEYS[3]) end
  redis.call('HDEL', KEYS[1], 'logCount', 'logBytes')
  redis.call('HSET', KEYS[1], 'pieces', redis.call('HLEN', KEYS[2]))
end
redis.call('HSET', KEYS[1], 'commit', ARGV[2], 'meta', ARGV[3])
if stored[3] then
  local kept = {}
  for n in string.gmatch(stored[3], '%d+') do
    if tonumber(n) > commit then kept[#kept + 1] = n
    else redis.call('UNLINK', KEYS[2] .. '.' .. n) end
  end
  if #kept > 0 then redis.call('HSET', KEYS[1], 'staged', table.concat(kept, ','))
  else redis.call('HDEL', KEYS[1], 'staged') end
end
if isPushed or #ARGV[4] > 0 then
  redis.call('HINCRBY', KEYS[1], 'logCount', 1)
  redis.call('HINCRBY', KEYS[1], 'logBytes', ARGV[7])
end
if #ARGV[4] > 0 then redis.call('RPUSH', KEYS[3], ARGV[4]) end
return 'OK'
`);

/**
 * KEYS meta, base, log. The epoch stays and rises: an owner from before must not pass for the next
 * one. Repeated: one more epoch.
 */
export const dropScript = script(`
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 0 then return 0 end
local staged = redis.call('HGET', KEYS[1], 'staged')
redis.call('UNLINK', KEYS[2], KEYS[3])
if staged then
  for n in string.gmatch(staged, '%d+') do redis.call('UNLINK', KEYS[2] .. '.' .. n) end
end
redis.call('HDEL', KEYS[1], 'commit', 'meta', 'staged', 'pieces', 'logCount', 'logBytes')
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return 1
`);

/** KEYS meta of a node; ARGV ts, value. Sets them where ts is not older than what is there. */
export const latestScript = script(`
local ts = redis.call('HGET', KEYS[1], 'ts')
if ts and tonumber(ts) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'ts', ARGV[1], 'value', ARGV[2])
return 1
`);

/**
 * KEYS history of a node; ARGV keep, values, oldest first. A record is known by its bytes, so that
 * a repeated append adds nothing; a few are looked up one by one, many against a table of all.
 */
export const historyScript = script(`
local known
if #ARGV > 9 then
  known = {}
  for _, value in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do known[value] = true end
end
for i = 2, #ARGV do
  local value = ARGV[i]
  local isKnown
  if known then isKnown = known[value] else isKnown = redis.call('LPOS', KEYS[1], value) end
  if not isKnown then
    redis.call('LPUSH', KEYS[1], value)
    if known then known[value] = true end
  end
end
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[1]) - 1)
return 1
`);
