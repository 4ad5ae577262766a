-- Sends the bodies that soak.py lists, by turns, and counts the statuses of the answers.
local bodies, at, counts = {}, 0, {}

function init(arguments)
  for i = 1, #arguments, 2 do
    local file = io.open(arguments[i + 1], "rb")
    local body = file:read("*all")
    file:close()
    local headers = { ["Content-Type"] = arguments[i], ["Accept"] = "application/json" }
    bodies[#bodies + 1] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  at = at % #bodies + 1
  return bodies[at]
end

function response(status)
  counts[status] = (counts[status] or 0) + 1
  told = ""
  for code, count in pairs(counts) do
    told = told .. string.format(" %d=%d", code, count)
  end
end

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary)
  local errors = summary.errors
  io.write("\nSTATUSES", threads[1]:get("told") or "", "\n")
  io.write(string.format("LOST %d\n", errors.connect + errors.read + errors.write + errors.timeout))
end
