#!lua name=@NAME@
-- Permits and starts for all workers together, by the server's clock. Never atomic with an append: what
-- a dead worker held runs out, and a start that was granted in vain is only a slower minute.

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- KEYS permits; ARGV limit lease_ms member...  Answers how many members got one, in order.
local function acquire(keys, argv)
  local now = now_ms()
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now)
  local free = tonumber(argv[1]) - redis.call('ZCARD', keys[1])
  local granted = math.max(0, math.min(free, #argv - 2))
  for i = 1, granted do redis.call('ZADD', keys[1], now + argv[2], argv[2 + i]) end
  return granted
end

-- KEYS permits; ARGV lease_ms member...  Answers the members that have expired, which are not extended.
local function extend(keys, argv)
  local until_ms, lost = now_ms() + argv[1], {}
  for i = 2, #argv do
    if redis.call('ZSCORE', keys[1], argv[i]) then
      redis.call('ZADD', keys[1], 'XX', until_ms, argv[i])
    else
      lost[#lost + 1] = argv[i]
    end
  end
  return lost
end

-- KEYS set; ARGV member...  Gives back permits, or starts that were not used.
local function release(keys, argv)
  return redis.call('ZREM', keys[1], unpack(argv))
end

-- KEYS holders; ARGV lease_ms order...  Lists orders that have held a permit for some time, for people.
local function hold(keys, argv)
  local now = now_ms()
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now)
  for i = 2, #argv do redis.call('ZADD', keys[1], now + argv[1], argv[i]) end
  redis.call('PEXPIRE', keys[1], 3600000)
  return #argv - 1
end

-- KEYS starts queue; ARGV limit window_ms grace_ms spare token order...  Answers how many spare tokens
-- were granted, and then the ms to wait of each order, 0 is go.
-- `starts` holds by when each order of the window has started at the latest; `queue` when each waiting
-- order is to ask again. Waiting orders are counted before later ones, and dropped once they are a
-- window late: they have ended meanwhile. Tokens are `<token>:1` and so on, for orders that come next:
-- at most a quarter of what is left, and none while orders wait.
local function admit(keys, argv)
  local now, limit, window = now_ms(), tonumber(argv[1]), tonumber(argv[2])
  local last_ms = now + argv[3]
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now - window)
  redis.call('ZREMRANGEBYSCORE', keys[2], '-inf', now - window)
  local started = redis.call('ZCARD', keys[1])
  local waits = {0}
  for i = 6, #argv do
    local id, wait = argv[i], 0
    if redis.call('ZSCORE', keys[1], id) then
      redis.call('ZADD', keys[1], last_ms, id)
    else
      local ahead = redis.call('ZRANK', keys[2], id) or redis.call('ZCARD', keys[2])
      local over = started + ahead - limit -- the place of the one whose window has to end first
      if over < 0 then
        redis.call('ZREM', keys[2], id)
        redis.call('ZADD', keys[1], last_ms, id)
        started = started + 1
      else
        local key, place = keys[1], over
        if over >= started then key, place = keys[2], over - started end
        local before = redis.call('ZRANGE', key, place, place, 'WITHSCORES')
        wait = math.max(1, tonumber(before[2]) + window + 1 - now)
        redis.call('ZADD', keys[2], now + wait, id)
      end
    end
    waits[#waits + 1] = wait
  end
  if redis.call('ZCARD', keys[2]) == 0 then
    waits[1] = math.max(0, math.min(tonumber(argv[4]), math.floor((limit - started) / 4)))
    for i = 1, waits[1] do redis.call('ZADD', keys[1], last_ms, argv[5] .. ':' .. i) end
  end
  redis.call('PEXPIRE', keys[1], 3600000)
  redis.call('PEXPIRE', keys[2], 86400000)
  return waits
end

redis.register_function{function_name='@NAME@_acquire', callback=acquire, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_extend', callback=extend, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_release', callback=release, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_hold', callback=hold, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_admit', callback=admit, flags={'allow-oom'}}
