// Everything here is a comfort: the book can be read without it.
(function () {
  'use strict';
  var root = document.documentElement, key = 'lguest-theme';
  function stored() {
    try { return localStorage.getItem(key); } catch (e) { return null; }
  }
  if (stored()) root.dataset.theme = stored();
  document.addEventListener('DOMContentLoaded', function () {
    var bar = document.querySelector('.bar'), field = bar.querySelector('input');
    var button = document.createElement('button');
    button.type = 'button';
    function dark() {
      return (root.dataset.theme || (matchMedia('(prefers-color-scheme: dark)')
        .matches ? 'dark' : 'light')) === 'dark';
    }
    function label() { button.textContent = dark() ? 'Light' : 'Dark'; }
    button.addEventListener('click', function () {
      root.dataset.theme = dark() ? 'light' : 'dark';
      try { localStorage.setItem(key, root.dataset.theme); } catch (e) {}
      label();
    });
    label();
    bar.appendChild(button);
    document.addEventListener('keydown', function (event) {
      if (event.key === '/' && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) {
        event.preventDefault();
        (document.querySelector('#search input') || field).focus();
      }
    });
    // Where we are, in a list of contents that is longer than the window.
    var side = document.querySelector('.side');
    var here = side && side.querySelector('[aria-current]');
    if (here && getComputedStyle(side).position === 'sticky') {
      side.scrollTop = here.offsetTop - side.clientHeight / 3;
    }
  });
})();
