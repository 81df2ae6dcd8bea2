-- wrk's script: one fixed request, any number of them in one write, and one line that says what came of it.
-- Arguments after "--": method, path, file of the body ("-" for none), pipeline depth, pause before a
-- request in ms, then "Name: value" headers.

local prepared

function init(arguments)
   local method, path, file, depth = arguments[1], arguments[2], arguments[3], tonumber(arguments[4])
   local headers, body = {}, nil
   for number = 6, #arguments do
      local name, value = arguments[number]:match("^([^:]+):%s*(.*)$")
      headers[name] = value
   end
   if file ~= "-" then
      local handle = assert(io.open(file, "rb"))
      body = handle:read("*a")
      handle:close()
   end
   local pause = tonumber(arguments[5])
   if pause > 0 then
      function delay()
         return pause
      end
   end
   local one = wrk.format(method, path, headers, body)
   local all = {}
   for number = 1, depth do
      all[number] = one
   end
   prepared = table.concat(all)
end

function request()
   return prepared
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      "LOAD requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
