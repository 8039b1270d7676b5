// A page that was written by the declarations of `kept` in `src/drift.rs`.

import { newWebSocketRpcSession } from "capnweb";
import type { Board, Color, Note } from "./board.js";

export async function show(url: string, write: (text: string) => void) {
  const board = newWebSocketRpcSession<Board>(url);
  const note = await board.note(7);
  write(note.title.toUpperCase());
  await board.listen((note) => write(`${note.title} ${paint(note)}`));
}

function paint(note: Note): string {
  const colors: Record<Color, string> = { red: "#f00", green: "#0f0" };
  return colors[note.color];
}
