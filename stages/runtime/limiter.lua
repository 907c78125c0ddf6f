#!lua name=@NAME@
-- Permits and pacing for all workers together, by the server's clock. Never atomic with an append:
-- a permit lost in a crash runs out, and a pace taken in vain is only a slower minute.

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

-- KEYS permits; ARGV lease_ms member...
local function extend(keys, argv)
  local until_ms = now_ms() + argv[1]
  for i = 2, #argv do redis.call('ZADD', keys[1], 'XX', until_ms, argv[i]) end
  return #argv - 1
end

-- KEYS permits; ARGV member...
local function release(keys, argv)
  return redis.call('ZREM', keys[1], unpack(argv))
end

-- KEYS starts queue; ARGV limit window_ms order...  Answers ms to wait, one an order, 0 is go.
-- `starts` holds when each order of the window started, or was allowed to; `queue` when each waiting
-- order is to ask again. Waiting orders are counted before later ones, and dropped once they are a
-- window late: they have ended meanwhile.
local function admit(keys, argv)
  local now, limit, window = now_ms(), tonumber(argv[1]), tonumber(argv[2])
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now - window)
  redis.call('ZREMRANGEBYSCORE', keys[2], '-inf', now - window)
  local started = redis.call('ZCARD', keys[1])
  local waits = {}
  for i = 3, #argv do
    local id, wait = argv[i], 0
    if not redis.call('ZSCORE', keys[1], id) then
      local ahead = redis.call('ZRANK', keys[2], id) or redis.call('ZCARD', keys[2])
      local over = started + ahead - limit -- the place of the one whose window has to end first
      if over < 0 then
        redis.call('ZREM', keys[2], id)
        redis.call('ZADD', keys[1], now, id)
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
  redis.call('PEXPIRE', keys[1], 3600000)
  redis.call('PEXPIRE', keys[2], 86400000)
  return waits
end

-- KEYS starts; ARGV window_ms order...  They have started: the window counts from now.
local function started(keys, argv)
  local now = now_ms()
  for i = 2, #argv do redis.call('ZADD', keys[1], now, argv[i]) end
  redis.call('PEXPIRE', keys[1], 3600000)
  return #argv - 1
end

redis.register_function{function_name='@NAME@_acquire', callback=acquire, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_extend', callback=extend, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_release', callback=release, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_admit', callback=admit, flags={'allow-oom'}}
redis.register_function{function_name='@NAME@_started', callback=started, flags={'allow-oom'}}
