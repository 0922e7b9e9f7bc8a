"""A pipeline behind FastAPI that takes encrypted pictures, as the Hub's image-classification API does.

    pip install fastapi uvicorn
    CHECKPOINT=outputs/quickstart/pevit uvicorn --app-dir examples/endpoint app:app --port 8080

POST a picture, or JSON with `inputs` in base64 and `parameters`. ORIGINS names the pages that may ask from a
browser, such as "https://me-sealed-upload.static.hf.space". Put TLS and access control in front of it.
"""

import json
import os
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from handler import MOST_BYTES, EndpointHandler

answer = EndpointHandler(os.environ.get("CHECKPOINT", "."))
app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ.get("ORIGINS", "").split(),
    allow_methods=["POST"],
    allow_headers=["content-type", "authorization"],
)


@app.post("/")
async def classify(request: Request) -> Any:
    """Answer a request, or say in `error` what is wrong with it."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > 2 * MOST_BYTES:  # base64 and JSON included
            return JSONResponse({"error": f"inputs: more than {MOST_BYTES} bytes."}, 413)
    try:
        told = request.headers.get("content-type", "").startswith("application/json")
        data = json.loads(body) if told else {"inputs": body}
        if not isinstance(data, dict):
            raise ValueError('body: expected {"inputs": ..., "parameters": {...}}.')
        return await run_in_threadpool(answer, data)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)
