-- KEYS[1] entry; ARGV: head (version, 8 bytes big endian, and a kind byte), bytes, milliseconds, channel or '', length of the keys'
-- prefix + 1, sender.
-- Returns 1 when the entry was written, 0 when what is there is newer.
local head = redis.call('GETRANGE', KEYS[1], 0, 8)
if #head == 9 then
  local there_high, there_low, there_kind = struct.unpack('>I4I4B', head)
  local high, low = struct.unpack('>I4I4', ARGV[1])
  if there_high > high or (there_high == high and there_low > low) then return 0 end
  if there_high == high and there_low == low and there_kind == 0 then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('PUBLISH', ARGV[4], ARGV[1] .. ARGV[6] .. string.sub(KEYS[1], tonumber(ARGV[5])))
end
return 1
