#!/usr/bin/env node
// The book as a website, build/html, looked at with a headless Chromium: every
// link leads somewhere, the search finds, nobody is shut out (axe), nothing is
// fetched from elsewhere, and all of it can be read without a script. Pictures
// of three widths are left behind in build/html-shots.
'use strict';
const fs = require('fs'), http = require('http'), os = require('os');
const path = require('path');
const B = path.resolve(process.env.B || 'build'), SITE = B + '/html';
const SHOTS = B + '/html-shots';
const CHROMIUM = '/usr/bin/chromium';
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu',
  '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const WIDTHS = [[380, 800], [900, 1000], [1440, 1000]];

let count = 0, failed = 0;
function ok(good, what, notes) {
  count++;
  console.log(`${good ? '' : 'not '}ok ${count} - ${what}`);
  if (good) return;
  failed++;
  for (const note of (notes || []).slice(0, 20)) console.log('# ' + note);
}
function none(list, what) { ok(list.length === 0, what, list); }
function done() {
  console.log(`1..${count}`);
  process.exit(failed ? 1 : 0);
}
function skip(why) {
  console.log(`1..0 # skipped: ${why}`);
  process.exit(0);
}

if (!fs.existsSync(SITE + '/index.html')) skip(`no ${SITE}; make html`);
if (!fs.existsSync(CHROMIUM)) skip('no chromium; ./setup --all installs it');
let chromium, AXE;
try {
  chromium = require('../book/node_modules/playwright-core').chromium;
  AXE = fs.readFileSync(require.resolve(
    '../book/node_modules/axe-core/axe.min.js'), 'utf8');
} catch (e) {
  skip('no playwright-core; ./setup --all installs it');
}

const pages = fs.readdirSync(SITE).filter(f => f.endsWith('.html')).sort();
const text = Object.fromEntries(pages.map(
  f => [f, fs.readFileSync(`${SITE}/${f}`, 'utf8')]));
const plain = s => s.replace(/<[^>]*>/g, '').replace(/&lt;/g, '<')
  .replace(/&gt;/g, '>').replace(/&quot;/g, '"').replace(/&#x27;/g, "'")
  .replace(/&amp;/g, '&');

// ---- what the files say, no browser needed
const ids = {}, chunks = {};
function links() {
  const twice = [], dead = [], foreign = [];
  for (const f of pages) {
    ids[f] = new Set();
    for (const [, id] of text[f].matchAll(/\sid="([^"]*)"/g)) {
      if (ids[f].has(id)) twice.push(`${f}#${id}`);
      ids[f].add(id);
    }
  }
  let n = 0;
  for (const f of pages) {
    for (const [, what, to] of text[f].matchAll(
      /\s(href|src|action)="([^"]*)"/g)) {
      n++;
      if (/^https?:/.test(to) && what === 'href') continue;
      if (/^[a-z]+:/.test(to) || to.startsWith('//')) {
        foreign.push(`${f}: ${to}`);
        continue;
      }
      const [file, fragment] = to.split('#');
      const target = file || f;
      if (!fs.existsSync(`${SITE}/${target}`) ||
          fragment && !(ids[target] && ids[target].has(fragment))) {
        dead.push(`${f}: ${to}`);
      }
    }
    for (const [link] of text[f].matchAll(/<(?:link|script|img)[^>]*https?:[^>]*>/g)) {
      foreign.push(`${f}: ${link}`);
    }
  }
  none(dead, `${n} links lead somewhere, fragments too`);
  none(twice, 'no page has an id twice');
  none(foreign, 'no page wants anything from elsewhere');
  const used = new Set(pages.flatMap(f => [...text[f].matchAll(
    /\shref="([^"#]*)(?:#[^"]*)?"/g)].map(m => m[1])));
  none(pages.filter(f => !used.has(f) && f !== 'search.html'),
    'every page is reached');
}

// Used-in, previous and next of every chunk, against what the code says.
function chunkLinks() {
  const wrong = [];
  for (const f of pages) {
    for (const [, id, head, code] of text[f].matchAll(
      /<div class="chunk" id="([^"]*)"><p class="head">(.*?)<\/p><pre[^>]*><code>([^]*?)<\/code><\/pre>/g)) {
      const full = to => to.startsWith('#') ? f + to : to;
      const find = (where, pattern) => [...where.matchAll(pattern)]
        .map(m => full(m[1]));
      const refs = head.slice(head.indexOf('<span class="refs">'));
      chunks[`${f}#${id}`] = {
        name: plain(head).replace(/^\w*⟨(.*)⟩.*$/, '$1'),
        more: head.includes('+≡'),
        used: find(refs.replace(/<a [^>]*rel=.*?<\/a>/g, ''),
          /<a href="([^"]*)"/g),
        before: find(refs, /<a href="([^"]*)"[^>]* rel="prev"/g)[0],
        after: find(refs, /<a href="([^"]*)"[^>]* rel="next"/g)[0],
        uses: find(code, /<a class="use" href="([^"]*)"/g),
        lines: code.split('\n').length
      };
    }
  }
  const all = Object.entries(chunks);
  for (const [at, c] of all) {
    for (const user of c.used) {
      const first = all.find(([, d]) => d.name === c.name && !d.more)[0];
      if (!chunks[user] || !chunks[user].uses.includes(first)) {
        wrong.push(`${at} is not used in ${user}`);
      }
    }
    for (const used of c.uses) {
      if (!chunks[used] || !chunks[used].used.includes(at)) {
        wrong.push(`${at} uses ${used}, which does not say so`);
      }
    }
    if (c.before && chunks[c.before].after !== at ||
        c.after && chunks[c.after].before !== at ||
        c.more !== Boolean(c.before)) {
      wrong.push(`${at}: previous and next`);
    }
  }
  ok(all.length > 1000 && wrong.length === 0,
    `${all.length} chunks: links to users and pieces hold both ways`, wrong);
}

// The numbers are the PDF's.
function numbers() {
  const aux = fs.readFileSync(B + '/book/book.aux', 'utf8');
  const wrong = [];
  let n = 0;
  const all = pages.map(f => text[f]).join('\n');
  for (const [, label, kind, number] of aux.matchAll(
    /\\newlabel\{([^{}]*)@cref\}\{\{\[(\w+)\]\[[^\]]*\]\[[^\]]*\]([^{}]*)\}/g)) {
    if (!/^(fig|tab|sec|ch):/.test(label) || !number) continue;
    n++;
    const id = label.replace(':', '-');
    const at = all.indexOf(` id="${id}"`);
    // LaTeX gives what has no number that of what it stands in.
    if (/<h3$|<span$/.test(all.slice(0, at)) ||
        /^[^>]*>(?!<span class="number")[^]*?<\/h1>/.test(all.slice(at)) &&
        /<h1$/.test(all.slice(0, at))) continue;
    const seen = /^[^]*?class="(?:number|label)">(?:[A-Z]\w+\s)?([\w.]+)</.exec(
      all.slice(at, at + 40000));
    if (at < 0 || !seen || seen[1] !== number) {
      wrong.push(`${label}: ${kind} ${number}, not ${seen && seen[1]}`);
    }
  }
  ok(n > 100 && wrong.length === 0, `${n} numbers are those of the PDF`, wrong);
  const toc = fs.readFileSync(B + '/book/book.toc', 'utf8');
  const sections = [...toc.matchAll(
    /contentsline \{section\}\{\\numberline \{([\w.]+)\}/g)].map(m => m[1]);
  const here = new Set([...all.matchAll(
    /<h2[^>]*><span class="number">([\w.]+)</g)].map(m => m[1]));
  none(sections.filter(s => !here.has(s)),
    `${sections.length} sections of the table of contents are there`);
}

function figures() {
  const bad = [];
  let n = 0;
  for (const f of pages) {
    for (const [img] of text[f].matchAll(/<img [^>]*>/g)) {
      n++;
      const alt = /alt="([^"]*)"/.exec(img);
      if (!alt || alt[1].length < 20 && !/title\.svg/.test(img)) {
        bad.push(`${f}: ${img.slice(0, 80)}`);
      }
      const svg = fs.readFileSync(SITE + '/' + /src="([^"]*)"/.exec(img)[1],
        'utf8');
      if (!svg.includes('<svg') || !/<(path|use)/.test(svg)) bad.push(img);
    }
  }
  ok(n >= 40 && bad.length === 0, `${n} drawings are SVG and described`, bad);
}

// ---- in the browser
function serve() {
  const types = {html: 'text/html; charset=utf-8', js: 'text/javascript',
    css: 'text/css', svg: 'image/svg+xml', woff2: 'font/woff2'};
  return new Promise(resolve => {
    const server = http.createServer((request, response) => {
      const name = new URL(request.url, 'http://x').pathname.slice(1);
      fs.readFile(path.join(SITE, path.normalize('/' + name)), (error, data) => {
        response.writeHead(error ? 404 : 200, {'Content-Type':
          types[name.split('.').pop()] || 'application/octet-stream'});
        response.end(error ? '' : data);
      });
    }).listen(0, '127.0.0.1', () => resolve(server));
  });
}

async function page_(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.noise = [];
  page.on('console', m => {
    if (['error', 'warning'].includes(m.type())) {
      page.noise.push(`${page.url()}: ${m.text()}`);
    }
  });
  page.on('pageerror', e => page.noise.push(`${page.url()}: ${e.message}`));
  page.on('requestfailed', r => page.noise.push(`failed: ${r.url()}`));
  page.on('request', r => {
    if (!/^(file:\/\/|http:\/\/127\.0\.0\.1:)/.test(r.url())) {
      page.noise.push(`elsewhere: ${r.url()}`);
    }
  });
  return page;
}

async function everyPage(browser) {
  const wide = [], page = await page_(browser, {});
  for (const f of pages) {
    await page.goto(`file://${SITE}/${f}`, {waitUntil: 'load'});
    for (const [width, height] of WIDTHS) {
      await page.setViewportSize({width, height});
      const over = await page.evaluate(() =>
        document.documentElement.scrollWidth - innerWidth);
      if (over > 0) wide.push(`${f} at ${width}: ${over} pixels too wide`);
    }
  }
  for (const [name, f] of [['cover', 'index.html'],
    ['chapter', 'waker.html'], ['figure', 'first-light.html#fig-journey'],
    ['code', 'console.html#file-launcher-console.c'],
    ['search', 'search.html?q=interrupt'],
    ['names', 'identifier-index.html#letter-I']]) {
    for (const [width, height] of WIDTHS) {
      await page.setViewportSize({width, height});
      await page.goto(`file://${SITE}/${f}`);
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({path: `${SHOTS}/${name}-${width}.png`});
    }
  }
  none(page.noise, `${pages.length} pages: no console error, no request ` +
    'that fails or leaves');
  none(wide, `none is wider than its window, at ${WIDTHS.length} widths`);
  await page.context().close();
}

async function fonts(browser) {
  const page = await page_(browser, {});
  await page.goto(`file://${SITE}/waker.html`);
  const loaded = await page.evaluate(async () => {
    await document.fonts.ready;
    return [...document.fonts].filter(f => f.status === 'loaded')
      .map(f => f.family.replace(/"/g, ''));
  });
  ok(['Pagella', 'Biolinum', 'Inconsolata'].every(f => loaded.includes(f)),
    'the three fonts are its own', loaded);
  await page.context().close();
}

async function accessible(browser) {
  const bad = [];
  // Every kind of page; axe takes its time, and most chapters are alike.
  const some = ['index.html', 'preface.html', 'first-light.html',
    'contract.html', 'main.html', 'waker.html', 'guest-process.html',
    'where.html', 'glossary.html', 'bibliography.html', 'search.html'];
  for (const [colorScheme, list] of [['light', some],
    ['dark', ['index.html', 'waker.html', 'search.html?q=interrupt']]]) {
    const page = await page_(browser, {colorScheme,
      viewport: {width: 1440, height: 1000}});
    for (const f of list) {
      await page.goto(`file://${SITE}/${f}`);
      if (f.includes('?')) await page.waitForSelector('.results mark');
      await page.evaluate(AXE);
      const found = await page.evaluate(() => axe.run(document, {
        resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa',
          'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}));
      for (const v of found.violations) {
        bad.push(`${f} ${colorScheme}: ${v.id}: ${v.help}: ` +
          v.nodes.slice(0, 2).map(n => n.html.slice(0, 150)).join(' | '));
      }
    }
    await page.context().close();
  }
  none(bad, `axe finds nothing on ${some.length} pages, nor in the dark`);
}

async function search(browser, base, how) {
  const page = await page_(browser, {});
  const ask = async (from, words) => {
    await page.goto(`${base}/${from}`);
    await page.fill('.bar input', words);
    await page.press('.bar input', 'Enter');
    await page.waitForSelector('#status:not(:empty)');
    return page.$$eval('.results a', list => list.map(a =>
      [a.textContent, a.getAttribute('href')]));
  };
  const name = await ask('waker.html', 'waker_wake');
  ok(name.length && name[0][0] === 'waker_wake' &&
    /^waker\.html#chunk-|^waker\.html#file-/.test(name[0][1]),
    `${how}: the search finds a name where it is defined`,
    name.slice(0, 3).map(String));
  await page.click('.results a');
  await page.waitForURL(/waker\.html#/);
  const target = await page.$eval(':target', e => e.textContent);
  ok(target.includes('waker_wake'), `${how}: and leads there`, [target]);
  const word = await ask('index.html', 'paravirtualised');
  ok(word.some(([, to]) => to.startsWith('first-light.html')),
    `${how}: it finds a word`, word.slice(0, 5).map(String));
  const nothing = await ask('index.html', 'zyzzyva');
  ok(nothing.length === 0 && /Nothing/.test(await page.textContent('#status')),
    `${how}: and says when there is nothing`);
  await page.fill('#search input', 'lost wake-up');
  await page.waitForSelector('.results mark');
  ok(await page.$eval('.results', e => /wake/i.test(e.textContent)),
    `${how}: it follows the typing`);
  none(page.noise, `${how}: without a console error`);
  await page.context().close();
}

async function theme(browser) {
  const page = await page_(browser, {colorScheme: 'light'});
  const paper = () => page.evaluate(() =>
    getComputedStyle(document.body).backgroundColor);
  await page.goto(`file://${SITE}/waker.html`);
  const light = await paper();
  await page.click('.bar button');
  const dark = await paper();
  await page.goto(`file://${SITE}/console.html`);
  ok(light !== dark && await paper() === dark,
    'the button makes it dark, on the next page too', [light, dark]);
  await page.emulateMedia({media: 'print'});
  ok(await page.evaluate(() => getComputedStyle(document.querySelector('.bar'))
    .display === 'none' && getComputedStyle(document.body).color ===
    'rgb(0, 0, 0)'), 'on paper it is black, and has no bar');
  await page.context().close();
}

async function withoutScript(browser) {
  const page = await page_(browser, {javaScriptEnabled: false});
  await page.goto(`file://${SITE}/first-light.html`);
  const seen = async selector => page.locator(selector).first().isVisible();
  ok(await seen('main .transcript') && await seen('main p') &&
    await seen('.side a') && await seen('.drawing img') &&
    !await page.locator('.bar button').count(),
    'without a script: text, transcript, drawing and contents are there');
  await page.goto(`file://${SITE}/waker.html`);
  await page.click('nav.turn [rel=next]');
  ok(page.url().endsWith('/console.html') && await seen('.chunk pre'),
    'one turns the page, and reads code');
  await page.goto(`file://${SITE}/search.html`);
  ok(await seen('noscript'), 'and the search says what to do instead');
  await page.context().close();
}

(async () => {
  fs.mkdirSync(SHOTS, {recursive: true});
  links();
  chunkLinks();
  numbers();
  figures();
  const profile = fs.mkdtempSync(os.tmpdir() + '/html.t-');
  process.env.HOME = process.env.XDG_CONFIG_HOME = process.env.XDG_CACHE_HOME = profile;
  const browser = await chromium.launch({executablePath: CHROMIUM,
    args: FLAGS});
  const server = await serve();
  try {
    await everyPage(browser);
    await fonts(browser);
    await accessible(browser);
    await search(browser, `file://${SITE}`, 'from a file');
    await search(browser, `http://127.0.0.1:${server.address().port}`,
      'from a server');
    await theme(browser);
    await withoutScript(browser);
  } catch (e) {
    ok(false, 'the browser does as it is told', String(e.stack).split('\n'));
  } finally {
    await browser.close();
    server.close();
    fs.rmSync(profile, {recursive: true, force: true});
  }
  done();
})();
