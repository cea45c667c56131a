" lguest.nw: TeX, with C in its chunks and in [[..]].
let g:tex_no_error = 1
runtime! syntax/tex.vim
unlet! b:current_syntax
syntax include @nwC syntax/c.vim
syntax region nwCode matchgroup=nwName start=/^<<.*>>=$/ end=/^@\ze\( \|$\)/
	\ contains=@nwC,nwName keepend
syntax match nwName /<<.*>>/ contained
syntax region nwQuote matchgroup=Delimiter start=/\[\[/ end=/\]\]/ oneline
	\ contains=@nwC keepend
syntax cluster texFoldGroup add=nwCode,nwQuote
syntax cluster texMatchGroup add=nwQuote
highlight link nwName Special
syntax sync clear
syntax sync minlines=100
syntax sync match nwSync grouphere nwCode /^<<.*>>=$/
let b:current_syntax = 'noweb'
