-- Stores a value of 1 KiB under a new key with each request, for one tenant after the other.
-- Arguments: a file of API keys, one a line; "true" or "false" for `encrypted`; a word that keeps runs apart.

local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    keys = {}
    for line in io.lines(args[1]) do
        keys[#keys + 1] = line
    end
    local encrypted = args[2]
    run = args[3]
    turn = 0
    local text = string.rep("0123456789abcdef", 63)
    tail = '","value":{"text":"' .. text .. '"},"encrypted":' .. encrypted .. "}"
    -- Keys are of one length, so that the length of the body is known ahead.
    local length = #'{"key":"' + #run + 1 + 2 + 1 + 9 + #tail
    heads = {}
    for i, key in ipairs(keys) do
        heads[i] = "POST /v1/storage/store/neo-n3 HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " .. key
            .. "\r\nContent-Type: application/json\r\nContent-Length: " .. length .. '\r\n\r\n{"key":"' .. run .. "-"
    end
end

function request()
    turn = turn + 1
    return heads[turn % #heads + 1] .. string.format("%02d-%09d", number, turn) .. tail
end
