"""Pages for a browser: single files that hold their data, their design and their script, and fetch nothing.

    template    a title, a body and data -> a whole page
    page.css    the design of every page: its colours, its type, its parts
    svg         line charts, drawn by hand, with the design of `chart.css`
    page.js     what every page's script begins with: the data, colours of numbers, numbers as people read them
    score       a text with the surprisal of each symbol or word behind it        score.css, score.js
    gates       heat maps of the gates, and a text in the colours of a unit        gates.css, gates.js
    desk.css    the design of the page that `serving` answers with; it asks its server, and nobody else
    desk_*.js   its parts: story (a tree of steps, no page), model (the server), sheet, writing; desk.js joins them
    writer.css, writer.js, writer_settings.js   the page of `textgen export`, which `export/page.py` makes
      worker    what writes in it: network.js, tokenizer.js, sampling.js, worker.js, and check.js, which Node runs

A page has a style sheet and a script of its own beside these, real files of this package that are read with `asset`.
"""
