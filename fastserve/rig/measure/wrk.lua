-- What wrk has seen, as JSON behind a mark: the counts, and the distribution of all latencies, not some of their
-- percentiles. Run by closed.py, with the method, how many requests are sent at once, and a file that has the body
-- behind "--". For one at a time it defines no request(), so that wrk keeps sending its one prepared request
-- instead of asking Lua for each.

-- Looking up a latency takes wrk as many steps as it has microseconds. Above so many steps in all the
-- distribution is told by ranks instead: so many evenly, as many of the last hundredth, and each of its last.
local STEPS, RANKS, LAST = 4e9, 1000, 100

function init(args)
  wrk.method = args[1]
  if args[3] then
    local file = assert(io.open(args[3], "rb"))
    wrk.body = file:read("*a")
    file:close()
  end
  local pipeline = tonumber(args[2] or 1)
  if pipeline > 1 then
    local batch = string.rep(wrk.format(), pipeline)
    request = function() return batch end
  end
end

local function all_of(latency)
  local counts, steps = {}, 0
  for i = 1, #latency do
    local value, count = latency(i)
    counts[i] = string.format("[%.0f,%.0f]", value, count)
    steps = steps + value - latency.min
    if steps > STEPS then return nil end
  end
  return counts
end

local function by_ranks(latency, count)
  local counts, done = {}, 0
  local function upto(rank)
    rank = math.floor(rank)
    if rank > done then
      local middle = latency:percentile(100 * (done + rank) / 2 / count)
      counts[#counts + 1] = string.format("[%.0f,%.0f]", middle, rank - done)
      done = rank
    end
  end
  for i = 1, RANKS do upto(0.99 * count * i / RANKS) end
  local tail = count - done - LAST
  for i = 1, RANKS do upto(0.99 * count + math.max(tail, 0) * i / RANKS) end
  while done < count do upto(done + 1) end
  return counts
end

function done(summary, latency)
  local e, cpu = summary.errors, os.clock() -- of all threads, and without what follows here
  local all = all_of(latency)
  io.write(string.format(
    '\nRESULT {"requests": %.0f, "microseconds": %.0f, "octets": %.0f, "connect": %.0f, "read": %.0f, '
    .. '"write": %.0f, "timeout": %.0f, "refused": %.0f, "cpu": %.6f, "exact": %s, "latency": [%s]}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.timeout, e.status, cpu,
    tostring(all ~= nil), table.concat(all or by_ranks(latency, summary.requests), ",")))
end
