-- The rule of gcra.rs in the same whole microseconds. Expects `now`, and `slack`: the
-- milliseconds for which a caller is remembered after its burst is whole again.
-- KEYS[1] caller; ARGV: period in microseconds, burst, cost. Returns allowed, used and wait, in microseconds.
local period, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = period * burst
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
local used = math.min(math.max(tat - now, 0), room)
local wanted = used + period * cost
local function keep(rest)
  redis.call('SET', KEYS[1], string.format('%.0f', now + rest), 'PX', math.ceil(rest / 1000) + slack)
end
local allowed = wanted <= room
if allowed and cost > 0 then
  keep(wanted)
elseif tat - now > room then
  keep(room)
end
if allowed then return {1, wanted, 0} end
if cost > burst then return {0, used, used} end
return {0, used, wanted - room}
