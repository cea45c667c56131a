autocmd BufNewFile,BufRead *.nw setfiletype noweb
