-- wrk has no machine-readable report; this one prints a line of JSON. Read by load.py. It defines nothing
-- else, so that wrk keeps sending its one prepared request instead of asking Lua for each.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %.0f, "seconds": %.6f, "bytes": %.0f, "errors": %.0f, "refused": %.0f, '
    .. '"p50_us": %.0f, "p99_us": %.0f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
