"""Models behind HTTP, as OpenAI's completions interface.

    errors        what is refused, with which status
    batch         the texts of many requests in one product: they join and leave at every token
    alone         the same without rows, for the TensorFlow engine
    writer        one thread for each model: reads prompts in slices, lets the batch write, tells what is written
    shelf         the models that are served, each loaded when it is first asked for
    orders        the body of a request -> what is asked for, checked
    answers       what was written -> OpenAI's JSON
    metrics       figures for Prometheus
    connection    one request of ASGI: its body, counted as it arrives, its answer, whether its client is there
    app           which request does what
    server        sockets, uvicorn, limits of connections

No web framework: seven paths need none. The server is uvicorn; tests call `app` directly.
"""
