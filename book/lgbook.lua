-- Tags of chunks: page and letter. book.lgc, written by the run before, says
-- on which page each chunk stands; this reads it, and gives each a tag.
local pages, letters, counts = {}, {}, {}

local file = io.open(tex.jobname .. ".lgc")
if file then
  for line in file:lines() do
    local number, page = line:match("^(%d+) (%w+)$")
    if number then
      number = tonumber(number)
      counts[page] = (counts[page] or 0) + 1
      pages[number], letters[number] = page, counts[page]
    end
  end
  file:close()
end

local function letter(n)
  if n <= 26 then return string.char(96 + n) end
  return letter((n - 1) // 26) .. string.char(97 + (n - 1) % 26)
end

local function tag(number)
  local page = pages[number]
  if not page then return "??" end
  if counts[page] == 1 then return page end
  return page .. letter(letters[number])
end

local function link(number)
  return "\\hyperlink{lgc." .. number .. "}{" .. tag(number) .. "}"
end

lgbook = {}

function lgbook.tag(number)
  tex.sprint(number > 0 and link(number) or "??")
end

-- A list of tags: 12b, 14; each once, though pages shift between runs.
function lgbook.tags(list, style)
  local out = {}
  for number in list:gmatch("%d+") do
    out[#out + 1] = (style or "") .. "{" .. link(tonumber(number)) .. "}"
  end
  tex.sprint(table.concat(out, ", "))
end

-- Is the chunk on a right-hand page (as far as the run before knows)?
function lgbook.side(number)
  local page = tonumber(pages[number] or "1") or 1
  tex.sprint(page % 2 == 1 and "\\lgright" or "\\lgleft")
end
