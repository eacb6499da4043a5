"""Models behind HTTP, as OpenAI's completions interface.

    errors        what is refused, with which status
    metrics       figures for Prometheus
    log           a line for each request, as text or JSON
    json_parts    large answers -> JSON, a piece at a time
    connection    one request of ASGI: its body, counted as it arrives, its answer, whether its client is there
    batch         the texts of many requests in one product: they join and leave at every token
    alone         the same without rows, for the TensorFlow engine
    writer        one thread for each model: reads prompts in slices, lets the batch write, tells what is written
    shelf         the models that are served, each loaded when it is first asked for
    orders        the body of a request -> what is asked for, checked
    answers       what was written -> OpenAI's JSON
    completions   one request for completions, from its prompts to its events
    questions     what is asked beside completions: alternatives, scores, tokens
    page          the writing desk at `/`
    app           which request does what
    protocol      limits of connections
    server        sockets, uvicorn

No web framework: a table of paths needs none. The server is uvicorn; tests call `app` directly.
"""
