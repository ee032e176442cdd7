"""The same answers as the other peers, by FastAPI and aiohttp's client on uvloop:
python app.py PORT [NAME=URL...]"""
import asyncio
import json
import sys
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

port, services = int(sys.argv[1]), [arg.split("=", 1) for arg in sys.argv[2:]]
client = None


@asynccontextmanager
async def lifespan(_):
    global client
    client = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=10),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)


@app.get("/plaintext", response_class=PlainTextResponse)
async def plaintext():
    return PlainTextResponse("Hello, World!")


@app.get("/json")
async def message():
    return {"message": "Hello, World!"}


async def part(name, url):
    async with client.get(url, raise_for_status=True) as answer:
        body = await answer.read()
    json.loads(body)
    return json.dumps(name).encode() + b":" + body


@app.get("/api/all")
async def everything():
    parts = await asyncio.gather(*(part(name, url) for name, url in services))
    return Response(b"{" + b",".join(parts) + b"}", media_type="application/json")


uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False,
            log_level="error", backlog=4096)
