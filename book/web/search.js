// The search page. search-data.js holds the text of the book, section by
// section; MiniSearch makes an index of it here, which takes a moment once.
(function () {
  'use strict';
  var form = document.getElementById('search'), field = form.querySelector('input');
  var status = document.getElementById('status');
  var list = document.querySelector('.results');
  var SHOWN = 60;

  // A name counts whole and in its parts: map_pages, map, pages.
  function tokenize(text) {
    var out = [], words = text.match(/[\p{L}\p{N}_]+/gu) || [];
    words.forEach(function (word) {
      out.push(word);
      if (word.indexOf('_') > 0) {
        word.split('_').forEach(function (part) { if (part) out.push(part); });
      }
    });
    return out;
  }

  var index = new MiniSearch({
    fields: ['t', 'x', 'n'],
    tokenize: tokenize,
    searchOptions: {
      tokenize: function (text) { return text.match(/[\p{L}\p{N}_]+/gu) || []; },
      boost: { t: 3 },
      // A name asked for by name comes first, one like it behind the prose.
      boostDocument: function (id, term) {
        var found = LGSEARCH[id];
        return found.k === 'name' ?
          (found.t.toLowerCase() === term.toLowerCase() ? 8 : 0.2) :
          { chapter: 1.5, section: 1.2, chunk: 1 }[found.k];
      },
      combineWith: 'AND',
      prefix: function (term) { return term.length > 2; },
      fuzzy: function (term) { return term.length > 5 ? 0.15 : false; }
    }
  });
  LGSEARCH.forEach(function (document, i) { document.id = i; });
  index.addAll(LGSEARCH);

  function element(name, text, parent) {
    var made = document.createElement(name);
    if (text) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }

  // A piece of the text around the first word found, the words marked.
  function excerpt(text, words, parent) {
    var escaped = words.map(function (w) {
      return w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    });
    if (!escaped.length) return;
    var found = new RegExp('(' + escaped.join('|') + ')', 'giu');
    var at = text.search(found);
    var from = Math.max(0, at - 90);
    if (from) from = text.indexOf(' ', from) + 1;
    var piece = text.slice(from, from + 260);
    if (from + 260 < text.length) piece = piece.replace(/\s\S*$/, ' …');
    (from ? '… ' + piece : piece).split(found).forEach(function (part, i) {
      if (i % 2) element('mark', part, parent);
      else parent.appendChild(document.createTextNode(part));
    });
  }

  function show(query) {
    list.textContent = '';
    document.title = (query ? query + ' · ' : '') + 'Search · lguest';
    if (!query) {
      status.textContent = '';
      return;
    }
    var results = index.search(query);
    status.textContent = results.length === 0 ? 'Nothing found.' :
      results.length === 1 ? 'One place.' : results.length > SHOWN ?
      results.length + ' places; the best ' + SHOWN + ' are:' :
      results.length + ' places.';
    results.slice(0, SHOWN).forEach(function (result) {
      var found = LGSEARCH[result.id], item = element('li', '', list);
      var head = element('h2', '', item);
      var link = element('a', '', head);
      link.href = found.u;
      if (found.k === 'name') {
        element('code', found.t, link);
        element('p', 'defined in ' + found.p + ' ⟨' + found.x + '⟩', item)
          .className = 'where';
        return;
      }
      link.textContent = found.t;
      element('p', found.k === 'chapter' ? 'chapter' :
        (found.n ? found.n + ', ' : '') + 'in ' + found.p, item)
        .className = 'where';
      excerpt(found.x, result.terms, element('p', '', item));
    });
  }

  function ask() { return new URLSearchParams(location.search).get('q') || ''; }
  form.hidden = false;
  field.value = ask();
  field.focus();
  show(ask().trim());
  var timer;
  field.addEventListener('input', function () {
    clearTimeout(timer);
    timer = setTimeout(function () {
      var query = field.value.trim();
      try {
        history.replaceState(null, '', '?q=' + encodeURIComponent(query));
      } catch (e) {}
      show(query);
    }, 120);
  });
  form.addEventListener('submit', function (event) {
    event.preventDefault();
    clearTimeout(timer);
    show(field.value.trim());
  });
})();
