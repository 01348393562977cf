-- Visits the files of a tree by Zipf's law: the one of rank n is asked for 1/n as often as the first. Which
-- file has which rank is drawn, and so is who comes next; the seed is fixed, so that all contestants are asked
-- for the same. Given to wrk by load.py; workloads.py makes the tree.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "done.lua")

local VISITS = 65536 -- after which it begins again

local state = 1
local function random(n) -- 0 to n - 1; Park and Miller's, which no version of Lua changes
  state = state * 48271 % 2147483647
  return state % n
end

local function drawn_ranks(files)
  local order = {}
  for i = 1, files do order[i] = i - 1 end
  for i = files, 2, -1 do
    local j = random(i) + 1
    order[i], order[j] = order[j], order[i]
  end
  return order
end

local function summed_weights(files)
  local sums, sum = {}, 0
  for rank = 1, files do
    sum = sum + 1 / rank
    sums[rank] = sum
  end
  return sums
end

local function rank_at(sums, at) -- the first whose sum is beyond it
  local low, high = 1, #sums
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sums[middle] > at then high = middle else low = middle + 1 end
  end
  return low
end

function init(args)
  local files = tonumber(args[1])
  local order, sums, visits, at = drawn_ranks(files), summed_weights(files), {}, 0
  for i = 1, VISITS do
    local file = order[rank_at(sums, random(2147483647) / 2147483647 * sums[files])]
    visits[i] = wrk.format("GET", string.format("/tree/%02d/%02d.txt", math.floor(file / 100), file % 100))
  end
  request = function()
    at = at % VISITS + 1
    return visits[at]
  end
end
