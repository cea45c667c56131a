-- pandoc's filter for the book: numbers, boxes, figures, references. Where a
-- number comes from LaTeX, it comes from there; what LaTeX counts in passing
-- (sections, tables, exercises) is counted again, and compared where it can be.
-- LGDATA names a file of what html knows, as a Lua table.
local data = dofile(os.getenv("LGDATA"))
local page = data.pages[os.getenv("LGPAGE")]
local wrong = {}

local function complain(text)
  io.stderr:write("html: " .. page.file .. ": " .. text .. "\n")
  wrong[1] = true
end

local function escape(text)
  return (text:gsub("[&<>\"]", {["&"] = "&amp;", ["<"] = "&lt;",
    [">"] = "&gt;", ['"'] = "&quot;"}))
end

local function html(text) return pandoc.RawInline("html", text) end
local function block(text) return pandoc.RawBlock("html", text) end
local function id(label) return (label:gsub(":", "-")) end

-- ---- references
local function where(label)
  local found = data.labels[label]
  if not found then
    complain("no label " .. label)
    return {number = "?", kind = "", url = "#"}
  end
  local url = found.file == page.file and "" or found.file
  return {number = found.number, kind = found.kind,
    url = found.whole and url ~= "" and url or url .. "#" .. id(label)}
end

local plural = {}
for kind in ("chapter section figure table part exercise"):gmatch("%a+") do
  plural[kind] = kind .. "s"
end
plural.appendix = "appendices"

local function reference(how, labels)
  local out, kinds = pandoc.List(), {}
  local order = {}
  for label in labels:gmatch("[^,%s]+") do
    local w = where(label)
    if not kinds[w.kind] then
      kinds[w.kind] = pandoc.List()
      table.insert(order, w.kind)
    end
    kinds[w.kind]:insert(w)
  end
  for o, kind in ipairs(order) do
    local list = kinds[kind]
    if o > 1 then out:insert(pandoc.Str(o == #order and " and " or ", ")) end
    for i, w in ipairs(list) do
      local text = w.number
      if how ~= "ref" and i == 1 then
        local word = #list > 1 and plural[kind] or kind
        if how == "Cref" and o == 1 then
          word = word:sub(1, 1):upper() .. word:sub(2)
        end
        text = word .. "\u{a0}" .. text
      end
      if i > 1 then
        out:insert(pandoc.Str(i == #list and " and " or ", "))
      end
      out:insert(pandoc.Link(text, w.url, "", {class = "ref"}))
    end
  end
  return out
end

function Link(el)
  local how, labels = el.target:match("^lgref:(%a+):(.*)")
  if how then return reference(how, labels) end
  -- an exercise and its answer
  local key, n = el.target:match("^lgex:(.*):(%d)$")
  if key then
    local stars = html('<span class="stars">' .. ("★"):rep(tonumber(n)) ..
      "</span>")
    local file = data.answers[key]
    return {pandoc.Span({}, {id = "ex-" .. key}), pandoc.Str("("),
      file and pandoc.Link({stars}, file .. "#answer-" .. key, "its answer") or
      stars, pandoc.Str(")")}
  end
  key = el.target:match("^lganswer:(.*)")
  if key then
    local w = where("ex:" .. key)
    return {pandoc.Link({pandoc.Strong(w.number)}, w.url, "",
      {id = "answer-" .. key, class = "number"})}
  end
  key = el.target:match("^lganswersto:(.*)")
  if key then
    local w = where(key)
    return pandoc.Link(("Chapter\u{a0}%s: %s"):format(w.number,
      data.titles[key] or ""), w.url)
  end
  local number = el.target:match("^lgchunk:(%d+)")
  if number then
    local inside = el.content
    inside:insert(1, pandoc.Str("⟨"))
    inside:insert(pandoc.Str("⟩"))
    return pandoc.Link(inside, data.chunks[tonumber(number)] or "#", "",
      {class = "chunkname"})
  end
end

function Cite(el)
  local out = pandoc.List()
  local list = pandoc.List()
  for _, c in ipairs(el.citations) do
    local number = data.cites[c.id]
    if not number then complain("no entry " .. c.id) end
    list:insert({number = tonumber(number) or 0, id = c.id,
      suffix = c.suffix})
  end
  table.sort(list, function(a, b) return a.number < b.number end)
  out:insert(pandoc.Str("["))
  for i, c in ipairs(list) do
    if i > 1 then out:insert(pandoc.Str(", ")) end
    out:insert(pandoc.Link(tostring(c.number),
      "bibliography.html#cite-" .. c.id, "", {class = "ref"}))
    if #c.suffix > 0 then
      if not pandoc.utils.stringify(c.suffix):match("^[,%s]") then
        out:insert(pandoc.Str(", "))
      end
      out:extend(c.suffix)
    end
  end
  out:insert(pandoc.Str("]"))
  return out
end

-- ---- words
-- A name of the program leads to its definition. Names without _, capital or
-- digit are left alone: too many of them are also words of C or of Linux.
function Code(el)
  local text = el.text:gsub("\u{a0}", " ")
  local out = escape(text)
  if #text > 12 then
    out = out:gsub("([%w&;])([_/.,=(])(%w)", "%1%2<wbr>%3")
  end
  out = "<code>" .. out .. "</code>"
  local name = text:gsub("%(%)$", ""):gsub("^struct ", "")
  local url = data.files[name]
  if not url and name:match("[_%u%d]") then url = data.names[name] end
  if url then
    out = '<a class="name" href="' .. url .. '">' .. out .. "</a>"
  end
  return html(out)
end

local party = {lgGuest = "guest", lgHost = "host", lgLauncher = "launcher",
  lgKernel = "kernel"}

function Span(el)
  local colour = (el.attributes.style or ""):match("^color: (%w+)")
  if colour == "lgmargin" then
    return pandoc.Span(el.content, {class = "marginnote"})
  elseif colour == "lgentry" then
    local key = pandoc.utils.stringify(el.content)
    return pandoc.Span({pandoc.Str(data.cites[key] or "?")},
      {class = "number", id = "cite-" .. key})
  elseif party[colour] then
    return pandoc.Span(el.content, {class = party[colour]})
  elseif colour then
    complain("no colour " .. colour)
  end
  if el.attributes.label then
    return pandoc.Span({}, {id = id(el.attributes.label)})
  end
  if el.classes[1] == "sans-serif" then
    el.classes = {"sans"}
    return el
  end
end

function Math(el)
  if el.text:match("^[\\star%s]+$") and el.text:match("\\star") then
    local _, n = el.text:gsub("\\star", "")
    return html('<span class="stars">' .. ("★"):rep(n) .. "</span>")
  end
end

-- ---- headings
local sections, subject = 0, {chapter = true}

function Header(el)
  el.identifier = id(el.identifier)
  local counted = not el.classes:includes("unnumbered")
  el.classes = {}
  if el.level == 1 then
    if counted and page.number ~= "" then
      el.content:insert(1, html('<span class="number">' .. page.number ..
        "</span> "))
    end
    return el
  end
  if el.level == 2 and counted and page.number ~= "" then
    sections = sections + 1
    el.content:insert(1, html('<span class="number">' .. page.number .. "." ..
      sections .. "</span> "))
  end
  return el
end

-- \paragraph runs in.
local function runin(blocks)
  local out = pandoc.List()
  local i = 1
  while i <= #blocks do
    local b, after = blocks[i], blocks[i + 1]
    if b.t == "Header" and b.level >= 4 then
      local head = pandoc.Span({pandoc.Strong(b.content)}, {class = "runin"})
      if after and after.t == "Para" then
        after.content:insert(1, pandoc.Space())
        after.content:insert(1, head)
      else
        out:insert(pandoc.Para({head}))
      end
    else
      out:insert(b)
    end
    i = i + 1
  end
  return out
end

-- ---- blocks
local boxes = {learn = "What you will learn.", crux = "The crux.",
  pitfall = "Pitfall.", aside = "Aside.", history = "A moment of history."}

local function named(div, class)
  for i, b in ipairs(div.content) do
    if b.t == "Div" and b.classes[1] == class then
      return b, i
    end
  end
end

-- The n-th of a chapter, which may have no number.
local function numbered(n)
  return page.number ~= "" and page.number .. "." .. n or tostring(n)
end

-- The number that LaTeX gave, of what has a label; else the next one.
local counts = {Figure = 0, Table = 0}
local function caption(el, kind, plain)
  local found, at = named(el, "lgcaption")
  if not found then return nil end
  local label
  local look = {Span = function(s)
    if s.identifier ~= "" and s.identifier:match("^%a+%-") then
      label = s.identifier
      return {}
    end
  end}
  el = el:walk(look)
  found, at = named(el, "lgcaption")
  el.content:remove(at)
  if plain then return el, pandoc.Plain(found.content[1].content) end
  counts[kind] = counts[kind] + 1
  local number = numbered(counts[kind])
  if label then
    local known = data.labels[label:gsub("%-", ":", 1)]
    if known and page.number == "" then
      number = known.number
    elseif known and known.number ~= number then
      complain(kind .. " " .. number .. " is " .. known.number .. " in LaTeX")
    end
  end
  local text = found.content[1].content
  text:insert(1, pandoc.Space())
  text:insert(1, html('<span class="label">' .. kind .. "\u{a0}" .. number ..
    "</span>"))
  return el, pandoc.Plain(text), label
end

local function figure(el, plain)
  local inner, text, label = caption(el, "Figure", plain)
  if not inner then
    complain("a figure without caption")
    return el
  end
  local out = pandoc.List()
  out:insert(block('<figure class="figure"' .. (label and ' id="' .. label ..
    '"' or "") .. ">"))
  local drawing = named(inner, "lgdrawing")
  if drawing then
    local name = pandoc.utils.stringify(drawing):gsub("%s", "")
    name = name:gsub("<[^>]*>", "")
    local alt = pandoc.utils.stringify(named(inner, "lgalt"))
    local size = data.drawings[name]
    if not size then
      complain("no drawing " .. name)
      size = {0, 0}
    end
    out:insert(block(('<div class="drawing" tabindex="0" role="group" ' ..
      'aria-label="%s %s, drawing"><img src="figures/%s.svg" ' ..
      'style="width:%.2fem" width="%d" height="%d" alt="%s"></div>'):format(
      plain and "A" or "Figure",
      plain and "figure" or numbered(counts.Figure), name,
      size[1] / 10.5, math.floor(size[1] * 4 / 3 + .5),
      math.floor(size[2] * 4 / 3 + .5), escape(alt))))
  else
    out:extend(inner.content)
  end
  out:insert(block("<figcaption>"))
  out:insert(text)
  out:insert(block("</figcaption></figure>"))
  return out
end

local function tables(el)
  local inner, text, label = caption(el, "Table")
  if not inner then
    complain("a table without caption")
    return el
  end
  local out = pandoc.List()
  out:insert(block('<figure class="table"' .. (label and ' id="' .. label ..
    '"' or "") .. "><figcaption>"))
  out:insert(text)
  out:insert(block("</figcaption>"))
  out:extend(inner.content)
  out:insert(block("</figure>"))
  return out
end

local function exercises(el)
  local out = pandoc.List({pandoc.Header(2, "Exercises",
    {id = "exercises"}), block('<ol class="exercises">')})
  local list = el.content[1]
  for i, item in ipairs(list.content) do
    local number = numbered(i)
    local at = "exercise-" .. number:gsub("%.", "-")
    out:insert(block('<li id="' .. at .. '">'))
    local first = item[1]
    first.content:insert(1, pandoc.Space())
    first.content:insert(1, html('<a class="number" href="#' .. at .. '">' ..
      number .. "</a>"))
    out:extend(item)
    out:insert(block("</li>"))
  end
  out:insert(block("</ol>"))
  return out
end

local function example(el)
  local function text(class)
    return pandoc.utils.stringify(named(el, class))
  end
  local out = '<div class="chunk example"><p class="head"><span class="tag">' ..
    escape(text("lgtag")) .. '</span><span class="chunkname">⟨' ..
    escape(text("lgname")) .. '⟩</span> ≡ <span class="refs">(' ..
    escape(text("lgused")) .. ")</span></p><pre><code>"
  local lines = {}
  for _, b in ipairs(el.content) do
    if b.t == "Div" and b.classes[1] == "lgline" then
      table.insert(lines, escape((pandoc.utils.stringify(b):gsub("\u{a0}",
        " "))))
    end
  end
  return block(out .. table.concat(lines, "\n") .. "</code></pre></div>")
end

function Div(el)
  local class = el.classes[1]
  local title = boxes[class]
  if title then
    el.classes = {"box", class}
    local head = pandoc.Span({pandoc.Strong(title)}, {class = "boxtitle"})
    local first = el.content[1]
    if first and first.t == "Para" then
      first.content:insert(1, pandoc.Space())
      first.content:insert(1, head)
    else
      el.content:insert(1, pandoc.Para({head}))
    end
    return el
  end
  if class == "lgfigure" then return figure(el) end
  if class == "lgplain" then return figure(el, true) end
  if class == "lgtable" then return tables(el) end
  if class == "lgexercises" then return exercises(el) end
  if class == "lgsample" then return example(el) end
  if class == "lganswer" then
    el.classes = {"answer"}
    return el
  end
  if class == "lganswers" then return el.content end
  if class == "center" then return el end
end

function Table(el)
  -- A column's width in print is no width on a telephone.
  return {block('<div class="scroll" tabindex="0" role="group" ' ..
    'aria-label="table">'), el, block("</div>")}
end

function CodeBlock(el)
  local what, name = el.text:match("^(LG%u+) (%S+)$")
  if not what then
    complain("verbatim text that no macro made")
    return el
  end
  return block("<!--" .. what .. " " .. name .. "-->")
end

function Image(el)
  complain("an image outside \\figurefile")
end

local function raw(el)
  if el.format ~= "html" then
    complain("pandoc does not know: " .. el.text)
    return {}
  end
end

function Pandoc(doc)
  doc.blocks = doc:walk({Blocks = runin}).blocks
  if wrong[1] then error("html: " .. page.file .. ": see above", 0) end
  return doc
end

return {
  {Cite = Cite, Code = Code, Link = Link, Math = Math},
  {Span = Span, Image = Image, CodeBlock = CodeBlock, RawBlock = raw,
   RawInline = raw},
  {traverse = "topdown", Header = Header},
  {Table = Table},
  {Div = Div},
  {Pandoc = Pandoc},
}
