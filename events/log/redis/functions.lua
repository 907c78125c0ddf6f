#!lua name=@NAME@
-- The only code that writes the log. Each function is one atomic step. Redis does not roll back, so
-- every function decides before it writes, and the write that may fail comes first.
-- Key and head formats: events/log/redis/keys.py and events/log/head.py.

-- @…@ are placeholders of constants: see `append_library` in events/log/group_commit.py.
local GROUP = '@GROUP@'
local ID_LENGTH = @ID_LENGTH@
local PREFIX_LENGTH = @PREFIX_LENGTH@
local PARKED = @PARKED@
local RESTING = @RESTING@
local NEWS_KEPT = 100000
local REASON_SHARE = @REASON_SHARE@
local POSITIONS_KEPT = @POSITIONS_KEPT@
local PACKED_AT_ONCE = 100
local ASIDE_KEPT = 1000
local FIELDS_MAX = 4000
local COPY_MS = 60000

-- The layout of an append call: events/log/append_call.py. Indexes start at 1.
local KEY = {@KEY_PLACES@}
local STAGE_KEY = {@STAGE_KEY_PLACES@}
local HEADER = {@HEADER_PLACES@}
local ENTRY = {@ENTRY_PLACES@}
local UNIT = {@UNIT_PLACES@}
local UNIT_FORMAT = '@UNIT_FORMAT@'
local CREATE, WAKE, SEND = @FLAG_CREATE@, @FLAG_WAKE@, @FLAG_SEND@
local HALT, RESUME, EXPIRES = @FLAG_HALT@, @FLAG_RESUME@, @FLAG_EXPIRES@

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

-- A single order is delivered with its head, which saves its consumer a read.
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

-- Marks orders of one inbox entry as settled; returns true once all of them are.
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

-- Appends orders to the news of books. Where a foreign entry has the next number, the number continues
-- after it: watchers detect the gap and rebuild their books.
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

-- The positions after `first`, packed in sequence; those of a unit are a slice. Packing each one by
-- itself would take a fifth of an append.
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

-- Whether the names of a new order belong to an existing one: '=' or '+' and a value, as `append`
-- returns them. If the same request was accepted under one name, its other name is registered too: a
-- later retry by that name alone must get the same order.
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
  -- The digest of the request follows the id.
  if missing and string.sub(known, ID_LENGTH + 1) == string.sub(value, ID_LENGTH + 1) then
    for _, name in ipairs(missing) do
      seen[name] = known
      idem_sets[#idem_sets + 1] = {name, known, known_by}
    end
  end
  return '=' .. known
end

-- Registers names. Names of an open order do not expire. A name added by a retry expires with the known
-- name; while the order is open, it is stored as an alias for the end of the order.
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

-- Starts the idempotency window of the names of orders that end. `names[i]` is a name of `ids[i]`.
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
      -- A name that belongs to another order by now is not changed.
      if value and string.sub(value, 1, ID_LENGTH) == ids[at] then
        redis.call('PEXPIREAT', names[at], string.format('%d', until_ms))
      end
    end
  end)
end

-- An append has four parts: read the call, decide each unit (validate, apply, schedule), write the
-- log, write the indexes and queues. The first two write nothing. One call runs at a time, so its state
-- is in locals of this file, reset by `begin` and `read_unit`: tables would be an eighth slower.

local sub, byte, read  -- set by `begin`: `string` is not available while a library is loaded

-- The call, and the state of the log before it.
local keys, argv, stages, units, entries, per_entry, window_ms, run_id
local time_us, time_ms, first, suspended, was_halted, verified, before_heads, heads, numbers

-- The changes of its units, collected before anything is written. Lists of pairs are flat.
local position, halted, existed, written, records, head_sets, seen
local idem_sets, ended_names, ended_ids
local open_adds, open_rems, park_adds, park_rems, expiry_adds, expiry_rems, news
local wakes, waits, ends, owed, settled

-- The current unit.
local unit_events, unit_owes, unit_flags, unit_idempotency_keys, unit_entry, unit_index
local unit_wait_ms, unit_not_after_ms, unit_wait_reason, unit_old, unit_new, unit_records, unit_value, unit_expires_ms
local unit_create, unit_wake, unit_send, unit_halt, unit_resume, unit_key, unit_head, unit_id

-- Starts a call; returns an error where the caller has another epoch or layout.
local function begin(call_keys, call_argv)
  keys, argv = call_keys, call_argv
  sub, byte, read = string.sub, string.byte, struct.unpack
  local meta = redis.call('HMGET', keys[KEY.meta],
    'epoch', 'layout', 'position', 'suspended', 'halted', 'verified')
  if meta[1] ~= argv[HEADER.epoch] or meta[2] ~= argv[HEADER.layout] then
    return redis.error_reply('FENCED epoch ' .. tostring(meta[1]) .. ' layout ' .. tostring(meta[2]))
  end
  stages, units, entries =
    tonumber(argv[HEADER.stages]), tonumber(argv[HEADER.units]), tonumber(argv[HEADER.entries])
  per_entry = tonumber(argv[HEADER.orders_per_inbox_entry])
  window_ms, run_id = tonumber(argv[HEADER.window_ms]), argv[HEADER.run_id]
  time_us, first = now_us(), tonumber(meta[3])
  time_ms = math.floor(time_us / 1000)
  suspended, was_halted, verified = meta[4], meta[5], meta[6]
  before_heads = KEY.count + STAGE_KEY.count * stages
  heads = redis.call('MGET', unpack(keys, before_heads + 1, before_heads + units))
  numbers = packed_positions(first, tonumber(argv[HEADER.events]))

  position, halted, existed = first, was_halted, false
  written, records, head_sets, seen = 0, {''}, {}, {}
  idem_sets, ended_names, ended_ids = {}, {}, {}
  open_adds, open_rems, park_adds, park_rems = {}, {}, {}, {}
  expiry_adds, expiry_rems, news = {}, {}, {}
  wakes, waits, ends, owed, settled = {}, {}, {}, {[RESTING] = 0}, {}
  for s = 1, stages do wakes[s], waits[s], ends[s], owed[s] = {}, {}, {}, 0 end
end

local function add_pair(list, score, id)
  local n = #list
  list[n + 1], list[n + 2] = score, id
end

-- Reads the unit whose arguments follow argv[at]; returns the index of its last argument.
local function read_unit(at)
  @UNIT_FIELDS@ = read(UNIT_FORMAT, argv[at + UNIT.meta])
  unit_old, unit_new, unit_records = argv[at + UNIT.old], argv[at + UNIT.new], argv[at + UNIT.records]
  at = at + UNIT.count
  local flags = unit_flags
  unit_create, unit_wake = flags % (2 * CREATE) >= CREATE, flags % (2 * WAKE) >= WAKE
  unit_send = flags % (2 * SEND) >= SEND
  unit_halt, unit_resume = flags % (2 * HALT) >= HALT, flags % (2 * RESUME) >= RESUME
  unit_value, unit_expires_ms = nil, nil
  if unit_idempotency_keys > 0 then at = at + 1; unit_value = argv[at] end
  if flags % (2 * EXPIRES) >= EXPIRES then at = at + 1; unit_expires_ms = argv[at] end
  return at
end

-- The reason to refuse the unit; nil: it is written. 0: it has no events. `before_names`: the index
-- before its first idempotency key.
local function validate(before_names)
  if unit_events == 0 then return 0 end
  local stored = unit_head and sub(unit_head, 1, PREFIX_LENGTH) or ''
  if stored ~= unit_old then
    local ours = unit_head and (unit_create or sub(unit_new, 1, PREFIX_LENGTH) == stored)
    return ours and 'exists' or 'conflict'
  elseif seen[unit_key] then
    return 'conflict'
  elseif unit_not_after_ms > 0 and time_ms > unit_not_after_ms then
    return 'late'
  elseif suspended and (unit_create or unit_send) and not unit_halt then
    return 'suspended'
  elseif unit_send and halted then
    return 'halted'
  elseif unit_send and verified ~= run_id then
    return 'unverified'
  elseif unit_create and unit_idempotency_keys > 0 then
    local known = known_as(keys, before_names, unit_idempotency_keys, unit_value, seen, idem_sets)
    existed = existed or known ~= nil
    return known
  end
end

-- The idempotency keys of the unit: a creation registers them, the end of an order starts their window.
local function apply_names(before_names)
  for k = before_names + 1, before_names + unit_idempotency_keys do
    local name = keys[k]
    if unit_create then
      seen[name] = unit_value
      idem_sets[#idem_sets + 1] = {name, unit_value}
    else
      ended_names[#ended_names + 1], ended_ids[#ended_ids + 1] = name, unit_id
    end
  end
end

-- Moves the order between indexes and counters; `was` is its next stage code before the unit.
local function apply_indexes(was)
  local owes, id = unit_owes, unit_id
  if unit_create then add_pair(open_adds, time_ms, id) end
  if owes == 0 then
    open_rems[#open_rems + 1] = id
  elseif owes == PARKED and was ~= PARKED then
    add_pair(park_adds, time_ms, id)
  end
  if was == PARKED and owes ~= PARKED then park_rems[#park_rems + 1] = id end
  if owes == RESTING or was == RESTING then news[#news + 1] = id end
  if unit_expires_ms then
    if owes == 0 or unit_expires_ms == '0' then
      expiry_rems[#expiry_rems + 1] = id
    else
      add_pair(expiry_adds, unit_expires_ms, id)
    end
  end
  if was ~= owes then
    -- A unit without a delivery, as of a cancel or an expiry, ends a delay.
    if unit_entry == 0 and ends[was] then ends[was][#ends[was] + 1] = id end
    if owed[was] then owed[was] = owed[was] - 1 end
    if owed[owes] then owed[owes] = owed[owes] + 1 end
  end
end

-- Adds the unit to the pending writes; returns the position of its last event.
local function apply(before_names)
  local n, was = unit_events, 0
  local before = 8 * (position - first)
  local positions = sub(numbers, before + 1, before + 8 * n)
  if unit_head then
    was = byte(unit_head, PREFIX_LENGTH + 1)
    local kept = read('>I4', unit_head)
    if kept + n > POSITIONS_KEPT then kept = POSITIONS_KEPT - n end
    if kept > 0 then positions = sub(unit_head, -8 * kept) .. positions end
  end
  position = position + n
  written = written + 1
  records[written + 1] = unit_records
  seen[unit_key] = true
  head_sets[2 * written - 1], head_sets[2 * written] = unit_key, unit_new .. positions
  if unit_idempotency_keys > 0 then apply_names(before_names) end
  apply_indexes(was)
  if unit_halt then halted = '1' elseif unit_resume then halted = nil end
  return position
end

-- Queues the order for the stage of its next event, and settles the delivery of the unit.
local function schedule(wake)
  if wake and wakes[unit_owes] then
    if unit_wait_ms > 0 then
      local due_ms = time_ms + unit_wait_ms
      add_pair(waits[unit_owes], due_ms + unit_wait_reason / REASON_SHARE, unit_id)
    else
      wakes[unit_owes][#wakes[unit_owes] + 1] = unit_id
    end
  end
  if unit_entry > 0 then
    local indexes = settled[unit_entry] or {}
    settled[unit_entry] = indexes
    indexes[#indexes + 1] = unit_index
  end
end

-- Decides all units; returns the reply without its backlog. The loop runs three times an order: it
-- avoids calls that are not needed.
local function decide()
  local answer = {time_us, 0}
  local at = HEADER.count + ENTRY.count * entries
  local before_names = before_heads + units
  for u = 1, units do
    at = read_unit(at)
    unit_key, unit_head = keys[before_heads + u], heads[u]
    unit_id = sub(unit_key, -ID_LENGTH)
    local result, wake = validate(before_names), unit_wake
    if not result then
      result = apply(before_names)
    elseif result == 'exists' then
      existed = true
      result, wake = -read('>I8', unit_head, #unit_head - 7), false
    end
    if type(result) == 'number' then schedule(wake) end
    answer[u + 2] = result
    before_names = before_names + unit_idempotency_keys
  end
  return answer
end

-- Writes entry, position and heads. XADD refuses an id that is not higher than all before; nothing is
-- written then, and the error is returned.
local function write_log()
  if position > first then
    local before = string.format('%d', first)
    records[1] = array_header(position - first)
    local behind = redis.call('XRANGE', keys[KEY.log], '(' .. before .. '-0', '+', 'COUNT', 1)
    local added = #behind > 0 and {err = 'equal or smaller'} or redis.pcall('XADD', keys[KEY.log],
      string.format('%d-0', position), 't', string.format('%d', time_us), 'b', table.concat(records))
    if type(added) == 'table' and added.err then
      if string.find(added.err, 'equal or smaller', 1, true) then
        return redis.error_reply('TAIL entries stand behind position ' .. before)
      end
      return added
    end
    redis.call('HSET', keys[KEY.meta], 'position', string.format('%d', position))
    redis.call('MSET', unpack(head_sets))
  elseif existed then
    -- WAITAOF waits for this connection's last write, so a write is needed to cover earlier ones of others.
    redis.call('HSET', keys[KEY.meta], 'position', string.format('%d', first))
  end
end

local function write_list(key, adds, rems)
  if #adds > 0 then redis.call('ZADD', key, unpack(adds)) end
  if #rems > 0 then redis.call('ZREM', key, unpack(rems)) end
end

local function write_indexes()
  register(keys[KEY.aliases], idem_sets)
  if #ended_names > 0 then
    release(keys[KEY.aliases], ended_names, ended_ids, time_ms + window_ms)
  end
  write_list(keys[KEY.open], open_adds, open_rems)
  write_list(keys[KEY.parked], park_adds, park_rems)
  write_list(keys[KEY.expiry], expiry_adds, expiry_rems)
  if #news > 0 then tell_watchers(keys[KEY.meta], keys[KEY.book], table.concat(news)) end
  if halted and not was_halted then redis.call('HSET', keys[KEY.meta], 'halted', halted) end
  if was_halted and not halted then redis.call('HDEL', keys[KEY.meta], 'halted') end
  if owed[RESTING] ~= 0 then redis.call('HINCRBY', keys[KEY.owed], RESTING, owed[RESTING]) end
end

-- Writes the queues of each stage; returns the number of entries in all inboxes, 0 where no order is
-- created: only callers that create orders slow down for it.
local function write_stages()
  local backlog, before = 0, KEY.count
  for s = 1, stages do
    local inbox, due = keys[before + STAGE_KEY.inbox], keys[before + STAGE_KEY.due]
    if owed[s] ~= 0 then redis.call('HINCRBY', keys[KEY.owed], s, owed[s]) end
    if #ends[s] > 0 then redis.call('ZREM', due, unpack(ends[s])) end
    if #wakes[s] > 0 then hand_over(inbox, wakes[s], per_entry, head_sets) end
    if #waits[s] > 0 then redis.call('ZADD', due, unpack(waits[s])) end
    if #open_adds > 0 then backlog = backlog + redis.call('XLEN', inbox) end
    before = before + STAGE_KEY.count
  end
  return backlog
end

-- Marks settled orders in their inbox entries, and deletes the entries that are settled completely.
local function settle_entries()
  local dropped = {}
  for e = 1, entries do
    if settled[e] then
      local at = HEADER.count + ENTRY.count * (e - 1)
      local s, id, size = tonumber(argv[at + ENTRY.stage]), argv[at + ENTRY.id], tonumber(argv[at + ENTRY.size])
      local before = KEY.count + STAGE_KEY.count * (s - 1)
      if settle(keys[before + STAGE_KEY.inbox], keys[before + STAGE_KEY.shares], id, size, settled[e]) then
        dropped[s] = dropped[s] or {}
        dropped[s][#dropped[s] + 1] = id
      end
    end
  end
  for s, ids in pairs(dropped) do
    local before = KEY.count + STAGE_KEY.count * (s - 1)
    drop_entries(keys[before + STAGE_KEY.inbox], keys[before + STAGE_KEY.shares], ids)
  end
end

-- Writes the units of a call: see events/log/append_call.py. Returns {time_us, entries in all inboxes
-- (0 where no order is created), result...}; a result is the last position (created), its negative
-- (exists), 'conflict', 'late', 'suspended', 'halted', 'unverified', '=' .. value of the existing
-- idempotency key, or '+' .. value of one where the keys name two orders. The error TAIL: foreign
-- entries have the id of the next one.
local function append(call_keys, call_argv)
  local fenced = begin(call_keys, call_argv)
  if fenced then return fenced end
  local answer = decide()
  local refused = write_log()
  if refused then return refused end
  write_indexes()
  answer[2] = write_stages()
  settle_entries()
  return answer
end

-- KEYS log copy; ARGV from to count. Copies entries with ids of appends; returns the id of the last
-- entry that was examined, '' at the end. An unfinished copy expires.
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

-- KEYS meta log copy aside; ARGV epoch position id... Replaces the log by its copy, which ends at
-- `position`, and sets aside the entries after it. A stream never reuses an id, so deleting those
-- entries would not permit the next append. Returns how many were set aside; -1: the log has changed.
local function replace(keys, argv)
  local meta = redis.call('HMGET', keys[1], 'epoch', 'position')
  if meta[1] ~= argv[1] or meta[2] ~= argv[2] then
    redis.call('DEL', keys[3])
    return -1
  end
  local moved, last = 0, argv[2] .. '-0'
  for i = 3, #argv do
    local entry = redis.call('XRANGE', keys[2], argv[i], argv[i])[1]
    if entry then
      local fields = #entry[2] <= FIELDS_MAX and entry[2] or {}
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

-- KEYS due inbox; ARGV limit orders_per_inbox_entry. The part of a score below a millisecond is why the
-- order waits, and no time. Moves due orders to the inbox. Returns {moved, ms
-- until the next or -1}.
local function due(keys, argv)
  local time_ms = math.floor(now_us() / 1000)
  local till = string.format('(%d', time_ms + 1)
  local ids = redis.call('ZRANGEBYSCORE', keys[1], '-inf', till, 'LIMIT', 0, argv[1])
  if #ids > 0 then
    deliver(keys[2], ids, tonumber(argv[2]))
    redis.call('ZREM', keys[1], unpack(ids))
  end
  local following = redis.call('ZRANGE', keys[1], 0, 0, 'WITHSCORES')
  if #following == 0 then return {#ids, -1} end
  return {#ids, math.max(0, math.floor(tonumber(following[2])) - time_ms)}
end

-- KEYS inbox; ARGV consumer lease_ms limit suspect. Claims entries whose leases have expired; an entry
-- with `suspect` or more earlier deliveries is returned alone.
-- Returns {id, earlier deliveries, joined order ids} of each.
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

-- KEYS inbox; ARGV consumer idle_ms. Deletes other consumers that made no call for so long and have
-- nothing pending: their processes died, or come back and are created again by their next call. Nothing
-- can be delivered to one between the look and the deletion. Returns how many were deleted.
local function delete_dead(keys, argv)
  local deleted = 0
  for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', keys[1], GROUP)) do
    local consumer = {}
    for i = 1, #row, 2 do consumer[row[i]] = row[i + 1] end
    if consumer.name ~= argv[1] and consumer.pending == 0 and consumer.idle > tonumber(argv[2]) then
      redis.call('XGROUP', 'DELCONSUMER', keys[1], GROUP, consumer.name)
      deleted = deleted + 1
    end
  end
  return deleted
end

-- KEYS inbox; ARGV consumer id... Renews the leases of entries; returns the entries that the consumer no
-- longer holds.
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
-- Requeues the unsettled orders of entries of the consumer in new entries, with no delivery counted.
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

-- KEYS meta log; ARGV layout epoch position create run_id chain upgradable... Joins the log; creates a
-- missing one if `create` is 1; upgrades one of an `upgradable` layout. The first process that passes a
-- chain sets the chain of the log. Returns {epoch, layout, position, base, chain, names}.
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

-- KEYS open, name...; ARGV (id, value or '') a name. Removes the expiry of names of open orders; sets a
-- missing one where its value is given. Returns the ids of orders that lack a name.
local function keep(keys, argv)
  local gone = {}
  for k = 2, #keys do
    local id, value = argv[2 * k - 3], argv[2 * k - 2]
    if redis.call('ZSCORE', keys[1], id) then
      local stored = redis.call('GET', keys[k])
      if stored and string.sub(stored, 1, ID_LENGTH) == id then
        redis.call('PERSIST', keys[k])
      elseif not stored and value ~= '' then
        redis.call('SET', keys[k], value)
      elseif not stored then
        gone[#gone + 1] = id
      end
    end
  end
  return gone
end

-- KEYS watchers leases slots heard; ARGV watcher lease_ms news (pair slot)...
-- Renews the watcher, and takes or renews the leases of pairs; a slot other than '' is stored as
-- processed completely, for all orders that the news through this number named.
-- Returns {live watchers, ({last slot or '', number of the news} of a pair that it holds, else false)...}.
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
      -- A watcher that lost the lease meanwhile must not overwrite the progress of the next one.
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

-- KEYS watchers leases; ARGV watcher pair... Releases pairs; without pairs, deregisters the watcher.
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

-- KEYS order...; ARGV ttl_ms. Sets the expiry of heads of terminal, archived orders.
local function expire(keys, argv)
  for _, key in ipairs(keys) do redis.call('PEXPIRE', key, argv[1]) end
  return #keys
end

-- With allow-oom, orders in flight can finish when memory is short; new orders are refused then.
redis.register_function{function_name='@NAME@_append', callback=append, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_accept', callback=append}
redis.register_function{function_name='@NAME@_copy', callback=copy, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_replace', callback=replace, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_due', callback=due, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_reclaim', callback=reclaim, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_delete_dead', callback=delete_dead, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_renew', callback=renew, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_requeue', callback=requeue, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_open', callback=open, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_watch', callback=watch, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_unwatch', callback=unwatch, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_expire', callback=expire, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_keep', callback=keep, flags={'allow-oom'}}
