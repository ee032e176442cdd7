// Node's HTTP as server and client: the same service and the same calls as service.c and caller.c.
//
//     peer.js serve VERSION PORT [CERTIFICATE KEY]
//     peer.js call VERSION BASE-URL LENGTH,... WAY,... [CA]
//
// VERSION is 1 or 2; a server with a certificate speaks both.
"use strict";

const fs = require("fs");
const http = require("http");
const http2 = require("http2");
const https = require("https");
const { Readable } = require("stream");

const CYCLE = 251;
const PIECE = 65536;
const pattern = Buffer.from(Array.from({ length: CYCLE + PIECE }, (_, i) => i % CYCLE));

function* pieces(length) {
    for (let sent = 0; sent < length; ) {
        const size = Math.min(PIECE, length - sent);
        yield pattern.subarray(sent % CYCLE, (sent % CYCLE) + size);
        sent += size;
    }
}

const body = (length) => Readable.from(pieces(length), { objectMode: false });

// How many bytes came; fails with the first that is not the pattern's.
async function check(stream) {
    let came = 0;
    for await (const data of stream) {
        for (let at = 0; at < data.length; ) {
            const from = (came + at) % CYCLE;
            const size = Math.min(PIECE, data.length - at);
            if (data.compare(pattern, from, from + size, at, at + size) !== 0)
                throw new Error(`another byte than expected after ${came + at}`);
            at += size;
        }
        came += data.length;
    }
    return came;
}

async function answer(request, response) {
    response.setHeader("X-Version", `HTTP/${request.httpVersion}`);
    const [, what, length] = request.url.split("/");
    const asked = `${request.method} ${what}`;
    if (asked === "GET size" || asked === "GET pieces") {
        if (what === "size") response.setHeader("Content-Length", length);
        body(Number(length)).pipe(response);
    } else if (asked === "POST echo") {
        response.writeHead(200);
        if (response.flushHeaders) response.flushHeaders();
        request.pipe(response);
    } else if (asked === "POST back") {
        const all = [];
        for await (const data of request) all.push(data);
        response.end(Buffer.concat(all));
    } else if (asked === "POST count") {
        try {
            response.end(String(await check(request)));
        } catch (fault) {
            response.statusCode = 400;
            response.end(fault.message);
        }
    } else {
        response.statusCode = 404;
        response.end();
    }
}

function serve(version, port, certificate, key) {
    let server;
    if (certificate) {
        const keys = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
        server = http2.createSecureServer({ ...keys, allowHTTP1: true }, answer);
    } else {
        server = version === "2" ? http2.createServer(answer) : http.createServer(answer);
    }
    server.listen(Number(port), "127.0.0.1");
}

const WAYS = [
    { name: "size", method: "GET", path: (n) => `/size/${n}` },
    { name: "pieces", method: "GET", path: (n) => `/pieces/${n}` },
    { name: "count", method: "POST", path: () => "/count", sends: true, counts: true },
    { name: "count_pieces", method: "POST", path: () => "/count", sends: true, chunked: true,
      counts: true },
    { name: "back", method: "POST", path: () => "/back", sends: true },
    { name: "echo", method: "POST", path: () => "/echo", sends: true },
    { name: "echo_pieces", method: "POST", path: () => "/echo", sends: true, chunked: true },
];

// {status, length, version, stream} of an HTTP/1.1 call.
function call1(base, ca, way, length) {
    return new Promise((resolve, reject) => {
        const library = base.startsWith("https") ? https : http;
        const headers = way.sends && !way.chunked ? { "Content-Length": length } : {};
        const request = library.request(base + way.path(length), { method: way.method, headers, ca });
        request.on("error", reject);
        request.on("response", (response) =>
            resolve({ status: response.statusCode, length: response.headers["content-length"],
                      version: `HTTP/${response.httpVersion}`, stream: response }));
        if (way.sends) body(length).pipe(request);
        else request.end();
    });
}

function call2(session, way, length) {
    return new Promise((resolve, reject) => {
        const headers = { ":method": way.method, ":path": way.path(length) };
        if (way.sends && !way.chunked) headers["content-length"] = length;
        const request = session.request(headers, { endStream: !way.sends });
        request.on("error", reject);
        request.on("response", (said) =>
            resolve({ status: said[":status"], length: said["content-length"],
                      version: "HTTP/2.0", stream: request }));
        if (way.sends) body(length).pipe(request);
    });
}

async function judge(way, length, said) {
    if (said.status !== 200) throw new Error(`the status is ${said.status}`);
    if (way.name === "size" && Number(said.length) !== length)
        throw new Error(`the head announces ${said.length} bytes`);
    if (way.counts) {
        let text = "";
        for await (const data of said.stream) text += data;
        if (text !== String(length)) throw new Error(`the server counted ${text}`);
        return;
    }
    const came = await check(said.stream);
    if (came !== length) throw new Error(`${came} bytes came`);
}

async function calls(version, base, lengths, ways, caFile) {
    const ca = caFile && fs.readFileSync(caFile);
    const session = version === "2" ? http2.connect(base, { ca }) : null;
    for (const way of WAYS.filter((way) => ways.split(",").includes(way.name)))
        for (const length of lengths.split(",").map(Number)) {
            let said;
            try {
                said = await (session ? call2(session, way, length)
                                      : call1(base, ca, way, length));
                await judge(way, length, said);
                console.log(`${way.name} ${length} ${said.version} ok`);
            } catch (fault) {
                console.log(`${way.name} ${length}: ${fault.message}`);
                if (said) said.stream.destroy();
            }
        }
    if (session) session.close();
}

const [what, ...rest] = process.argv.slice(2);
if (what === "serve" && (rest.length === 2 || rest.length === 4)) serve(...rest);
else if (what === "call" && rest.length >= 4) calls(...rest);
else {
    console.error("usage: peer.js serve VERSION PORT [CERTIFICATE KEY] | " +
                  "call VERSION BASE-URL LENGTH,... WAY,... [CA]");
    process.exit(2);
}
