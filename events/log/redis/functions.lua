#!lua name=@NAME@
-- The only code that writes the log. Each function is one atomic step; Lua does not roll back, so
-- every function first decides, then writes, and the write that can be refused comes first.
-- Key and head formats: events/log/redis/keys.py and events/log/head.py.

-- @…@ are constants of the Python beside it: see `append_library` of events/log/group_commit.py.
local GROUP = '@GROUP@'
local ID_LENGTH = @ID_LENGTH@
local PREFIX_LENGTH = @PREFIX_LENGTH@
local PARKED = @PARKED@
local RESTING = @RESTING@
local NEWS_KEPT = 100000
local POSITIONS_KEPT = @POSITIONS_KEPT@
local UNIT_META = '@UNIT_META@'
local PACKED_AT_ONCE = 100
local ASIDE_KEPT = 1000
local FIELDS_MAX = 4000
local COPY_MS = 60000

local function now_us()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function each_slice(list, size, visit)
  for from = 1, #list, size do
    visit(from, math.min(from + size - 1, #list))
  end
end

local function deliver(inbox, ids, per_entry)
  each_slice(ids, per_entry, function(from, to)
    redis.call('XADD', inbox, '*', 'o', table.concat(ids, '', from, to))
  end)
end

-- One order alone goes with its head: whoever is given it need not ask for that first.
local function hand_over(inbox, ids, per_entry, head_sets)
  if #ids == 1 and #head_sets == 2 and string.sub(head_sets[1], -ID_LENGTH) == ids[1] then
    redis.call('XADD', inbox, '*', 'o', ids[1], 'h', head_sets[2])
  else
    deliver(inbox, ids, per_entry)
  end
end

local function drop_entries(inbox, shares, entries)
  each_slice(entries, 1000, function(from, to)
    redis.call('XACK', inbox, GROUP, unpack(entries, from, to))
    redis.call('XDEL', inbox, unpack(entries, from, to))
    redis.call('HDEL', shares, unpack(entries, from, to))
  end)
end

-- Marks the shares of one inbox entry as settled; true once none is left.
local function settle(inbox, shares, entry, size, indexes)
  if #indexes >= size then
    local seen, left = {}, size
    for _, index in ipairs(indexes) do
      if not seen[index] then seen[index], left = true, left - 1 end
    end
    if left == 0 then return true end
  end
  local marks = redis.call('HGET', shares, entry)
  if not marks then
    if #redis.call('XRANGE', inbox, entry, entry) == 0 then return false end
    marks = string.rep('.', size)
  end
  for _, index in ipairs(indexes) do
    marks = string.sub(marks, 1, index) .. 'x' .. string.sub(marks, index + 2)
  end
  if not string.find(marks, '.', 1, true) then return true end
  redis.call('HSET', shares, entry, marks)
  return false
end

-- Tells watchers of orders. Where a number of ours is taken by an entry of somebody else, the number
-- of the news goes on behind it: whoever follows them sees a gap, and makes its books anew.
local function tell_watchers(meta, book, joined)
  local number = redis.call('HINCRBY', meta, 'news', 1)
  local added = redis.pcall('XADD', book, 'MAXLEN', '~', NEWS_KEPT, string.format('%d-0', number),
    'o', joined)
  if type(added) == 'table' and added.err then
    local top = redis.call('XINFO', 'STREAM', book)
    for i = 1, #top, 2 do
      if top[i] == 'last-generated-id' then number = tonumber(string.match(top[i + 1], '^%d+')) + 1 end
    end
    redis.call('HSET', meta, 'news', string.format('%d', number))
    redis.call('XADD', book, 'MAXLEN', '~', NEWS_KEPT, string.format('%d-0', number), 'o', joined)
  end
end

-- The positions after `first`, packed one behind the other: those of a unit are a slice of them.
-- One pack a unit and position would be a fifth of an append.
local function packed_positions(first, count)
  local slices, numbers = {}, {}
  for from = 1, count, PACKED_AT_ONCE do
    local n = math.min(PACKED_AT_ONCE, count - from + 1)
    for i = 1, n do numbers[i] = first + from + i - 1 end
    slices[#slices + 1] = struct.pack('>' .. string.rep('I8', n), unpack(numbers, 1, n))
  end
  return table.concat(slices)
end

local function array_header(n)
  if n < 16 then return string.char(0x90 + n) end
  return struct.pack('>BI2', 0xdc, n)
end

-- Whether a client's names for a new order name one already. A request that came before under one
-- name gets its other name registered, too: whoever asks by that one alone must find the same order.
local function known_as(keys, before_first, names, value, seen, idem_sets)
  local known, missing, known_by
  for k = before_first + 1, before_first + names do
    local name = keys[k]
    local before = seen[name] or redis.call('GET', name)
    if not before or before == value then
      missing = missing or {}
      missing[#missing + 1] = name
    elseif known and before ~= known then
      return '+' .. before
    else
      known, known_by = before, name
    end
  end
  if not known then return nil end
  -- What follows the id is the digest of the request.
  if missing and string.sub(known, ID_LENGTH + 1) == string.sub(value, ID_LENGTH + 1) then
    for _, name in ipairs(missing) do
      seen[name] = known
      idem_sets[#idem_sets + 1] = {name, known, known_by}
    end
  end
  return '=' .. known
end

-- Every order pays for each line of the first loop three times: no call in it that is not needed.
-- Registers names. Those of an open order do not expire. One that came with a known name of its order
-- lives as long as that one; while the order is open, it is noted for its end.
local function register(aliases, idem_sets)
  for _, set in ipairs(idem_sets) do
    local name, value, known_by = set[1], set[2], set[3]
    local left_ms = known_by and redis.call('PTTL', known_by) or -1
    if left_ms >= 0 then
      redis.call('SET', name, value, 'PX', math.max(left_ms, 1))
    else
      redis.call('SET', name, value)
      if known_by then
        local id = string.sub(value, 1, ID_LENGTH)
        local noted = redis.call('HGET', aliases, id) or ''
        redis.call('HSET', aliases, id, noted .. struct.pack('>I2c0', #name, name))
      end
    end
  end
end

-- The window of the names of orders that end now begins. `names` and `ids`: one id a name.
local function release(aliases, names, ids, until_ms)
  for i, noted in ipairs(redis.call('HMGET', aliases, unpack(ids))) do
    if noted then
      redis.call('HDEL', aliases, ids[i])
      local at = 1
      while at <= #noted do
        names[#names + 1], at = struct.unpack('>I2c0', noted, at)
        ids[#names] = ids[i]
      end
    end
  end
  each_slice(names, 1000, function(from, to)
    for i, value in ipairs(redis.call('MGET', unpack(names, from, to))) do
      local at = from + i - 1
      -- A name that another order has by now is that one's.
      if value and string.sub(value, 1, ID_LENGTH) == ids[at] then
        redis.call('PEXPIREAT', names[at], string.format('%d', until_ms))
      end
    end
  end)
end

-- KEYS meta log open parked owed expiry book aliases, (inbox due shares) a stage, an order key a unit, idempotency keys
-- ARGV epoch layout stages entries units events orders_per_inbox_entry window_ms run_id,
--      stage id size            of each inbox entry that units settle
--      meta old new [value] [expires_ms] records   of each unit; new is its head less the positions;
--      the idempotency keys of a unit that ends its order are those whose window begins
-- meta: <records u8, owes u8, flags u8, idempotency keys u8, entry u16, index u16, wait_ms u32,
--        not_after_ms u64>
-- flags: create 1, wake 2, send 4, halt 8, resume 16, expires 32
-- Answers {time_us, entries in all inboxes (0 where no order is created), result...}, a result is the last position (created), its negative (exists),
-- 'conflict', 'late', 'suspended', 'halted', 'unverified', '=' .. value of the idempotency key that was there before, or
-- '+' .. value of one where the keys name two orders. The error TAIL: entries stand where the next one belongs.
local function append(keys, argv)
  local meta = redis.call('HMGET', keys[1], 'epoch', 'layout', 'position', 'suspended', 'halted', 'verified')
  if meta[1] ~= argv[1] or meta[2] ~= argv[2] then
    return redis.error_reply('FENCED epoch ' .. tostring(meta[1]) .. ' layout ' .. tostring(meta[2]))
  end
  local stages, entries, units = tonumber(argv[3]), tonumber(argv[4]), tonumber(argv[5])
  local per_entry, window_ms, run_id = tonumber(argv[7]), argv[8], argv[9]
  local stage_base, order_base = 8, 8 + 3 * stages
  local entry_base = 9
  local arg = entry_base + 3 * entries
  local time_us = now_us()
  local time_ms = math.floor(time_us / 1000)
  local first = tonumber(meta[3])
  local position = first
  local heads = redis.call('MGET', unpack(keys, order_base + 1, order_base + units))
  local idem_key = order_base + units
  local numbers = packed_positions(first, tonumber(argv[6]))

  local reply, seen, records = {time_us, 0}, {}, {''}
  local head_sets, idem_sets, open_adds, open_rems, park_adds, park_rems = {}, {}, {}, {}, {}, {}
  local ended_names, ended_ids = {}, {}
  local wakes, waits, ends, owed, settled = {}, {}, {}, {[RESTING] = 0}, {}
  local halted, expiry_adds, expiry_rems, news, existed = meta[5], {}, {}, {}, false
  local sub, byte, read = string.sub, string.byte, struct.unpack
  local written = 0
  for s = 1, stages do wakes[s], waits[s], ends[s], owed[s] = {}, {}, {}, 0 end

  for u = 1, units do
    local n, owes, flags, idems, entry, index, wait_ms, not_after_ms =
      read(UNIT_META, argv[arg + 1])
    local create, wake, send = flags % 2 == 1, flags % 4 >= 2, flags % 8 >= 4
    local old, new = argv[arg + 2], argv[arg + 3]
    arg = arg + 3
    local value, expires_ms
    if idems > 0 then arg = arg + 1; value = argv[arg] end
    if flags >= 32 then arg = arg + 1; expires_ms = argv[arg] end
    local key, head = keys[order_base + u], heads[u]
    local id = sub(key, -ID_LENGTH)
    local found = head and sub(head, 1, PREFIX_LENGTH) or ''
    local result
    if n == 0 then
      result = 0
    elseif found ~= old then
      local ours = head and (create or sub(new, 1, PREFIX_LENGTH) == found)
      result = ours and 'exists' or 'conflict'
    elseif seen[key] then
      result = 'conflict'
    elseif not_after_ms > 0 and time_ms > not_after_ms then
      result = 'late'
    elseif meta[4] and (create or send) and flags % 16 < 8 then
      result = 'suspended'
    elseif send and halted then
      result = 'halted'
    elseif send and meta[6] ~= run_id then
      result = 'unverified'
    elseif idems > 0 and create then
      result = known_as(keys, idem_key, idems, value, seen, idem_sets)
      existed = existed or result
    end
    if not result then
      local positions = sub(numbers, 8 * (position - first) + 1, 8 * (position - first + n))
      local was = 0
      if head then
        was = byte(head, PREFIX_LENGTH + 1)
        local kept = read('>I4', head)
        if kept + n > POSITIONS_KEPT then kept = POSITIONS_KEPT - n end
        if kept > 0 then positions = sub(head, -8 * kept) .. positions end
      end
      position = position + n
      written = written + 1
      records[written + 1] = argv[arg + 1]
      seen[key] = true
      head_sets[2 * written - 1] = key
      head_sets[2 * written] = new .. positions
      for k = 1, idems do
        local name = keys[idem_key + k]
        if create then
          seen[name] = value
          idem_sets[#idem_sets + 1] = {name, value}
        else
          ended_names[#ended_names + 1], ended_ids[#ended_ids + 1] = name, id
        end
      end
      if create then
        open_adds[#open_adds + 1] = time_ms
        open_adds[#open_adds + 1] = id
      end
      if owes == 0 then
        open_rems[#open_rems + 1] = id
      elseif owes == PARKED and was ~= PARKED then
        park_adds[#park_adds + 1] = time_ms
        park_adds[#park_adds + 1] = id
      end
      if was == PARKED and owes ~= PARKED then park_rems[#park_rems + 1] = id end
      if owes == RESTING or was == RESTING then news[#news + 1] = id end
      if expires_ms then
        if owes == 0 or expires_ms == '0' then
          expiry_rems[#expiry_rems + 1] = id
        else
          expiry_adds[#expiry_adds + 1] = expires_ms
          expiry_adds[#expiry_adds + 1] = id
        end
      end
      if flags % 16 >= 8 then halted = '1' elseif flags % 32 >= 16 then halted = nil end
      -- Whoever settles no share of its own ends a wait: a cancel, an expiry.
      if entry == 0 and was ~= owes and ends[was] then ends[was][#ends[was] + 1] = id end
      if was ~= owes then
        if owed[was] then owed[was] = owed[was] - 1 end
        if owed[owes] then owed[owes] = owed[owes] + 1 end
      end
      result = position
    elseif result == 'exists' then
      existed = true
      result = -read('>I8', head, #head - 7)
      wake = false
    end
    if type(result) == 'number' then
      if wake and wakes[owes] then
        if wait_ms > 0 then
          waits[owes][#waits[owes] + 1] = time_ms + wait_ms
          waits[owes][#waits[owes] + 1] = id
        else
          wakes[owes][#wakes[owes] + 1] = id
        end
      end
      if entry > 0 then
        settled[entry] = settled[entry] or {}
        settled[entry][#settled[entry] + 1] = index
      end
    end
    reply[u + 2] = result
    arg = arg + 1
    idem_key = idem_key + idems
  end

  -- Decided; now write. XADD refuses an id that is not new, and then nothing has been written.
  if position > first then
    records[1] = array_header(position - first)
    local behind = redis.call('XRANGE', keys[2], '(' .. meta[3] .. '-0', '+', 'COUNT', 1)
    local added = #behind > 0 and {err = 'equal or smaller'} or redis.pcall('XADD', keys[2],
      string.format('%d-0', position), 't', string.format('%d', time_us), 'b', table.concat(records))
    if type(added) == 'table' and added.err then
      if string.find(added.err, 'equal or smaller', 1, true) then
        return redis.error_reply('TAIL entries stand behind position ' .. meta[3])
      end
      return added
    end
    redis.call('HSET', keys[1], 'position', string.format('%d', position))
    redis.call('MSET', unpack(head_sets))
  elseif existed then
    -- What another connection wrote is fsynced before this one's last write: so write.
    redis.call('HSET', keys[1], 'position', meta[3])
  end
  register(keys[8], idem_sets)
  if #ended_names > 0 then release(keys[8], ended_names, ended_ids, time_ms + tonumber(window_ms)) end
  if #open_adds > 0 then redis.call('ZADD', keys[3], unpack(open_adds)) end
  if #open_rems > 0 then redis.call('ZREM', keys[3], unpack(open_rems)) end
  if #park_adds > 0 then redis.call('ZADD', keys[4], unpack(park_adds)) end
  if #park_rems > 0 then redis.call('ZREM', keys[4], unpack(park_rems)) end
  if #expiry_adds > 0 then redis.call('ZADD', keys[6], unpack(expiry_adds)) end
  if #expiry_rems > 0 then redis.call('ZREM', keys[6], unpack(expiry_rems)) end
  if #news > 0 then
    tell_watchers(keys[1], keys[7], table.concat(news))
  end
  if halted and not meta[5] then redis.call('HSET', keys[1], 'halted', halted) end
  if meta[5] and not halted then redis.call('HDEL', keys[1], 'halted') end
  if owed[RESTING] ~= 0 then redis.call('HINCRBY', keys[5], RESTING, owed[RESTING]) end
  for s = 1, stages do
    local inbox, due = keys[stage_base + 3 * s - 2], keys[stage_base + 3 * s - 1]
    if owed[s] ~= 0 then redis.call('HINCRBY', keys[5], s, owed[s]) end
    if #ends[s] > 0 then redis.call('ZREM', due, unpack(ends[s])) end
    if #wakes[s] > 0 then hand_over(inbox, wakes[s], per_entry, head_sets) end
    if #waits[s] > 0 then redis.call('ZADD', due, unpack(waits[s])) end
    -- Only who takes new orders slows down for it.
    if #open_adds > 0 then reply[2] = reply[2] + redis.call('XLEN', inbox) end
  end
  local dropped = {}
  for e = 1, entries do
    if settled[e] then
      local at = entry_base + 3 * e
      local s, id, size = tonumber(argv[at - 2]), argv[at - 1], tonumber(argv[at])
      if settle(keys[stage_base + 3 * s - 2], keys[stage_base + 3 * s], id, size, settled[e]) then
        dropped[s] = dropped[s] or {}
        dropped[s][#dropped[s] + 1] = id
      end
    end
  end
  for s, ids in pairs(dropped) do
    drop_entries(keys[stage_base + 3 * s - 2], keys[stage_base + 3 * s], ids)
  end
  return reply
end

-- KEYS log copy; ARGV from to count. Copies what an append may have written; answers the id of the
-- last entry that was looked at, '' at the end. A copy that nobody finishes goes by itself.
local function copy(keys, argv)
  local last = ''
  for _, entry in ipairs(redis.call('XRANGE', keys[1], argv[1], argv[2], 'COUNT', argv[3])) do
    last = entry[1]
    if string.sub(last, -2) == '-0' and #entry[2] <= FIELDS_MAX then
      redis.call('XADD', keys[2], last, unpack(entry[2]))
    end
  end
  redis.call('PEXPIRE', keys[2], COPY_MS)
  return last
end

-- KEYS meta log copy aside; ARGV epoch position id... Puts a copy in the place of the log, which ends
-- at `position`, and sets aside what stood behind. A stream never gives back an id that it has had:
-- so deleting what stands there would not make room. Answers how many were set aside, -1: the log
-- has moved.
local function replace(keys, argv)
  local meta = redis.call('HMGET', keys[1], 'epoch', 'position')
  if meta[1] ~= argv[1] or meta[2] ~= argv[2] then
    redis.call('DEL', keys[3])
    return -1
  end
  local moved, last = 0, argv[2] .. '-0'
  for i = 3, #argv do
    local found = redis.call('XRANGE', keys[2], argv[i], argv[i])[1]
    if found then
      local fields = #found[2] <= FIELDS_MAX and found[2] or {}
      redis.call('XADD', keys[4], 'MAXLEN', '~', ASIDE_KEPT, '*', 'i', argv[i], unpack(fields))
      moved = moved + 1
    end
  end
  local top = redis.call('XREVRANGE', keys[3], '+', '-', 'COUNT', 1)[1]
  if top and top[1] ~= last then
    redis.call('XSETID', keys[3], last)
  elseif not top and last ~= '0-0' then
    redis.call('XADD', keys[3], last, 'b', '')
    redis.call('XDEL', keys[3], last)
  end
  if top or last ~= '0-0' then
    redis.call('PERSIST', keys[3])
    redis.call('RENAME', keys[3], keys[2])
  else
    redis.call('DEL', keys[2])
  end
  redis.call('HINCRBY', keys[1], 'aside', math.max(1, moved))
  return moved
end

-- KEYS due inbox; ARGV limit orders_per_inbox_entry. Answers {moved, ms until the next or -1}.
local function due(keys, argv)
  local time_ms = math.floor(now_us() / 1000)
  local ids = redis.call('ZRANGEBYSCORE', keys[1], '-inf', time_ms, 'LIMIT', 0, argv[1])
  if #ids > 0 then
    deliver(keys[2], ids, tonumber(argv[2]))
    redis.call('ZREM', keys[1], unpack(ids))
  end
  local following = redis.call('ZRANGE', keys[1], 0, 0, 'WITHSCORES')
  if #following == 0 then return {#ids, -1} end
  return {#ids, math.max(0, tonumber(following[2]) - time_ms)}
end

-- KEYS inbox; ARGV consumer lease_ms limit suspect. Takes over what others held too long; an entry
-- delivered `suspect` times before is handed over alone.
-- Answers {id, deliveries before this one, joined order ids} of each.
local function reclaim(keys, argv)
  local stale = redis.call('XPENDING', keys[1], GROUP, 'IDLE', argv[2], '-', '+', argv[3])
  local taken = {}
  for _, pending in ipairs(stale) do
    local suspect = pending[4] >= tonumber(argv[4])
    if not suspect or #taken == 0 then
      local entry = redis.call('XCLAIM', keys[1], GROUP, argv[1], argv[2], pending[1])[1]
      if entry then
        taken[#taken + 1] = {pending[1], pending[4], entry[2][2]}
        if suspect then return taken end
      else
        redis.call('XACK', keys[1], GROUP, pending[1])
      end
    end
  end
  return taken
end

-- KEYS inbox; ARGV consumer id... Keeps the lease of what is still ours; answers what is not.
local function renew(keys, argv)
  local lost = {}
  for i = 2, #argv do
    if #redis.call('XPENDING', keys[1], GROUP, argv[i], argv[i], 1, argv[1]) == 1 then
      redis.call('XCLAIM', keys[1], GROUP, argv[1], 0, argv[i], 'JUSTID')
    else
      lost[#lost + 1] = argv[i]
    end
  end
  return lost
end

-- KEYS inbox shares; ARGV consumer orders_per_inbox_entry id...
-- Puts the unsettled orders of entries that we own back as new entries (no delivery is counted).
local function requeue(keys, argv)
  local gone = {}
  for i = 3, #argv do
    local id = argv[i]
    local entry = redis.call('XRANGE', keys[1], id, id)[1]
    if entry and #redis.call('XPENDING', keys[1], GROUP, id, id, 1, argv[1]) == 1 then
      local joined = entry[2][2]
      local marks = redis.call('HGET', keys[2], id) or ''
      local left = {}
      for n = 0, #joined / ID_LENGTH - 1 do
        if string.sub(marks, n + 1, n + 1) ~= 'x' then
          left[#left + 1] = string.sub(joined, n * ID_LENGTH + 1, (n + 1) * ID_LENGTH)
        end
      end
      deliver(keys[1], left, tonumber(argv[2]))
      gone[#gone + 1] = id
    end
  end
  if #gone > 0 then drop_entries(keys[1], keys[2], gone) end
  return #gone
end

-- KEYS meta log; ARGV layout epoch position found run_id chain raised_from... Joins the log; creates it
-- where nothing is and `found` is 1; takes over one of a layout `raised_from`. A log is of one chain, that of
-- whoever names one first. Answers {epoch, layout, position, base, chain, names}.
local function open(keys, argv)
  if redis.call('EXISTS', keys[1]) == 0 then
    if argv[4] ~= '1' then return redis.error_reply('MISSING there is no log') end
    if redis.call('EXISTS', keys[2]) == 1 then
      return redis.error_reply('REGRESSED the log has entries but no meta')
    end
    redis.call('HSET', keys[1], 'epoch', argv[2], 'layout', argv[1], 'position', argv[3],
      'verified', argv[5], 'names', 'kept')
  end
  local layout = redis.call('HGET', keys[1], 'layout')
  for i = 7, #argv do
    if layout == argv[i] then
      redis.call('HSET', keys[1], 'layout', argv[1])
      layout = argv[1]
    end
  end
  if argv[6] ~= '' and layout == argv[1] then
    redis.call('HSETNX', keys[1], 'chain', argv[6])
    local chain = redis.call('HGET', keys[1], 'chain')
    if chain ~= argv[6] then return redis.error_reply('CHAIN ' .. chain) end
  end
  return redis.call('HMGET', keys[1], 'epoch', 'layout', 'position', 'base', 'chain', 'names')
end

-- KEYS open, name...; ARGV (id, value or '') a name. The names of orders that are still open expire no
-- more; one that is gone comes back where its value is given. Answers the ids of which a name is gone.
local function keep(keys, argv)
  local gone = {}
  for k = 2, #keys do
    local id, value = argv[2 * k - 3], argv[2 * k - 2]
    if redis.call('ZSCORE', keys[1], id) then
      local found = redis.call('GET', keys[k])
      if found and string.sub(found, 1, ID_LENGTH) == id then
        redis.call('PERSIST', keys[k])
      elseif not found and value ~= '' then
        redis.call('SET', keys[k], value)
      elseif not found then
        gone[#gone + 1] = id
      end
    end
  end
  return gone
end

-- KEYS watchers leases slots heard; ARGV watcher lease_ms news (pair slot)...
-- Says that the watcher lives, and takes or keeps the pairs; a slot that is not '' is noted as
-- followed to the end, for all orders that the news through this number named.
-- Answers {live watchers, ({last slot or '', number of the news} of a pair that is ours, else false)}.
local function watch(keys, argv)
  local watcher, lease_ms = argv[1], tonumber(argv[2])
  local time_ms = math.floor(now_us() / 1000)
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', time_ms)
  redis.call('ZADD', keys[1], time_ms + lease_ms, watcher)
  local reply = {redis.call('ZRANGE', keys[1], 0, -1)}
  for i = 4, #argv, 2 do
    local pair, slot = argv[i], argv[i + 1]
    local lease = redis.call('HGET', keys[2], pair)
    local till, holder
    if lease then till, holder = string.match(lease, '^(%d+) (.*)$') end
    if holder == watcher or not till or tonumber(till) < time_ms then
      redis.call('HSET', keys[2], pair, string.format('%d %s', time_ms + lease_ms, watcher))
      -- Whoever lost the lease meanwhile must not say how far the next one is.
      if slot ~= '' and holder == watcher then
        redis.call('HSET', keys[3], pair, slot)
        redis.call('HSET', keys[4], pair, argv[3])
      end
      reply[#reply + 1] = {redis.call('HGET', keys[3], pair) or '', redis.call('HGET', keys[4], pair) or '0'}
    else
      reply[#reply + 1] = false
    end
  end
  return reply
end

-- KEYS watchers leases; ARGV watcher pair... Gives pairs back; without any, the watcher leaves.
local function unwatch(keys, argv)
  if #argv == 1 then redis.call('ZREM', keys[1], argv[1]) end
  for i = 2, #argv do
    local lease = redis.call('HGET', keys[2], argv[i])
    if lease and string.match(lease, '^%d+ (.*)$') == argv[1] then
      redis.call('HDEL', keys[2], argv[i])
    end
  end
  return 1
end

-- KEYS order...; ARGV ttl_ms. The heads of orders that are terminal and archived.
local function expire(keys, argv)
  for _, key in ipairs(keys) do redis.call('PEXPIRE', key, argv[1]) end
  return #keys
end

-- In-flight orders must be able to end when memory is short; accepting new ones must not.
redis.register_function{function_name='@NAME@_append', callback=append, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_accept', callback=append}
redis.register_function{function_name='@NAME@_copy', callback=copy, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_replace', callback=replace, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_due', callback=due, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_reclaim', callback=reclaim, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_renew', callback=renew, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_requeue', callback=requeue, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_open', callback=open, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_watch', callback=watch, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_unwatch', callback=unwatch, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_expire', callback=expire, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_keep', callback=keep, flags={'allow-oom'}}
