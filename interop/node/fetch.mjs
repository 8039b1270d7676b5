// The main object's requests, responses and blobs. `src/fetch.rs` has the same in Rust.

import { Streams } from "./streams.mjs";

/** What the main object has. */
export class Fetch extends Streams {
  echoBlob(blob) {
    return blob;
  }

  makeResponse(text) {
    return new Response(text, { status: 201, headers: { "x-a": "b" } });
  }

  async readRequest(request) {
    return [request.url, request.method, request.headers.get("x-a"), await request.text()];
  }
}
