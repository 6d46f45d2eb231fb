"""A model provider on loopback: OpenAI's and Anthropic's HTTP APIs with fixed answers and token counts."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from zlib import crc32

TOKENS: Final = {"answer": (40, 10), "verdict": (60, 5)}  # of the prompt and the completion
DIMENSIONS: Final = 512


class ModelServer:
    """Answers questions, fills in JSON schemas, and counts the requests.

    Attributes:
        url: the address without a path.
        calls: the number of answers and verdicts given, and of requests refused.
        models: the models asked for.
        keys: the API keys that requests had.
        refusals: how many of the next requests get status 429.
        retry_after: the header of those refusals, in seconds.
        refuses_verdicts: whether each request with a schema gets status 429, too.
    """

    def __init__(self, answer: Callable[[str], str], verdict: Callable[[str], bool]) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.models: set[str] = set()
        self.keys: set[str] = set()
        self.refusals = 0
        self.retry_after = "0"
        self.refuses_verdicts = False
        self._answer, self._verdict = answer, verdict
        self._lock = threading.Lock()

    def respond(self, path: str, headers: Mapping[str, str], request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of a response."""
        with self._lock:
            self.models.add(request["model"])
            self.keys.add(headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer "))
            if self.refusals or (self.refuses_verdicts and _schema(request)[0] is not None):
                self.refusals = max(0, self.refusals - 1)
                self.calls["refused"] += 1
                return 429, {"type": "error", "error": {"type": "rate_limit_error", "message": "Rate limit reached"}}
        if path.endswith("/embeddings"):
            return 200, _embeddings(request)
        asked = _texts(request.get("input") or request["messages"])[-1]
        schema, tool = _schema(request)
        kind = "answer" if schema is None else "verdict"
        with self._lock:
            self.calls[kind] += 1
        text = self._answer(asked) if schema is None else json.dumps(self._filled(schema, asked))
        form = next(form for end, form in _FORMS.items() if path.endswith(end))
        return 200, {"model": request["model"], **form(text, tool, *TOKENS[kind])}

    def _filled(self, schema: Mapping[str, Any], asked: str) -> dict[str, Any]:
        """Return an object of a schema: its booleans are the verdict."""
        return {
            name: self._verdict(asked) if one.get("type") == "boolean" else f"the {name}"
            for name, one in schema["properties"].items()
        }


def _texts(content: Any) -> list[str]:
    """Return the texts of a request's input or messages."""
    if isinstance(content, str):
        return [content]
    if isinstance(content, Mapping):
        return _texts(content.get("content") or content.get("text") or "")
    return [text for part in content for text in _texts(part)]


def _schema(request: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str | None]:
    """Return the JSON schema that an answer must have, and the tool that takes it; None for either."""
    for tool in request.get("tools") or ():
        function = tool.get("function") or tool
        return function.get("parameters") or function["input_schema"], function["name"]
    form = (
        request.get("response_format")
        or (request.get("text") or {}).get("format")
        or (request.get("output_config") or {}).get("format")
        or {}
    )
    return form.get("schema") or (form.get("json_schema") or {}).get("schema"), None


def _completion(text: str, tool: str | None, prompt: int, completion: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if tool is not None:
        call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": text}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }


def _response(text: str, tool: str | None, prompt: int, completion: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    if tool is not None:
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool, "arguments": text}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        },
    }


def _message(text: str, tool: str | None, prompt: int, completion: int) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "text", "text": text}
    if tool is not None:
        content = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": json.loads(text)}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [content],
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": prompt, "output_tokens": completion},
    }


_FORMS: Final[Mapping[str, Callable[[str, str | None, int, int], dict[str, Any]]]] = {
    "/v1/chat/completions": _completion,
    "/v1/responses": _response,
    "/v1/messages": _message,
}


def _embeddings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a vector for each text: how often it has each of its longer words, by their first letters."""
    data = []
    for index, text in enumerate(_texts(request["input"])):
        vector = [0.0] * DIMENSIONS
        for word in text.lower().replace(".", " ").replace("?", " ").split():
            vector[crc32(word[:5].encode()) % DIMENSIONS] += len(word) > 3
        data.append({"object": "embedding", "index": index, "embedding": vector})
    usage = {"prompt_tokens": 8 * len(data), "total_tokens": 8 * len(data)}
    return {"object": "list", "model": request["model"], "data": data, "usage": usage}


@contextmanager
def model_server(answer: Callable[[str], str], verdict: Callable[[str], bool]) -> Iterator[ModelServer]:
    """Serve a provider for as long as the context lasts; each connection is closed after its response.

    Args:
        answer: returns the answer to the last text of a request.
        verdict: returns the booleans of the JSON that a request with a schema gets.
    """
    model = ModelServer(answer, verdict)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = model.respond(self.path, headers, request)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            if status == 429:
                self.send_header("retry-after", model.retry_after)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        model.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()
