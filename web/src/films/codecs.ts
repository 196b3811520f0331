/** The WebAssembly decoders, each loaded when the first file needs it. */

import charls from "@cornerstonejs/codec-charls/decodewasmjs";
import charlsUrl from "@cornerstonejs/codec-charls/decodewasm?url";
import turbo from "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs";
import turboUrl from "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm?url";
import openjpeg from "@cornerstonejs/codec-openjpeg/decodewasmjs";
import openjpegUrl from "@cornerstonejs/codec-openjpeg/decodewasm?url";
import { Decoder as Lossless } from "jpeg-lossless-decoder-js";

interface FrameInfo {
  width: number;
  height: number;
  bitsPerSample: number;
  componentCount: number;
  isSigned?: boolean;
}

interface WasmDecoder {
  getEncodedBuffer(size: number): Uint8Array;
  decode(): void;
  getFrameInfo(): FrameInfo;
  getDecodedBuffer(): Uint8Array;
  delete(): void;
}

interface WasmModule {
  [name: string]: new () => WasmDecoder;
}

type Factory = (options: {
  locateFile: () => string;
  print: (text: string) => void;
  printErr: (text: string) => void;
}) => Promise<WasmModule>;

export interface Decoded extends FrameInfo {
  /** Samples as bytes, little endian where they take two. */
  bytes: Uint8Array;
  /** What the decoder complained of. */
  complaints: string[];
}

const CODECS = {
  JPEG: { factory: turbo as Factory, url: turboUrl, name: "JPEGDecoder" },
  "JPEG-LS": { factory: charls as Factory, url: charlsUrl, name: "JpegLSDecoder" },
  "JPEG 2000": { factory: openjpeg as Factory, url: openjpegUrl, name: "J2KDecoder" },
} as const;

const loaded = new Map<string, Promise<WasmModule>>();
let said: string[] = [];

/** Decodes a frame. Throws whatever the decoder throws. */
export async function decodeFrame(kind: keyof typeof CODECS, frame: Uint8Array): Promise<Decoded> {
  const { factory, url, name } = CODECS[kind];
  if (!loaded.has(kind)) {
    const hear = (text: string) => said.push(text);
    loaded.set(kind, factory({ locateFile: () => url, print: hear, printErr: hear }));
  }
  const module = await loaded.get(kind)!;
  const decoder = new module[name]!();
  said = [];
  try {
    decoder.getEncodedBuffer(frame.length).set(frame);
    decoder.decode();
    return { ...decoder.getFrameInfo(), bytes: new Uint8Array(decoder.getDecodedBuffer()), complaints: said };
  } finally {
    decoder.delete();
  }
}

/** Decodes a lossless JPEG (process 14) of one component. */
export function decodeLossless(frame: Uint8Array, bits: number): Uint8Array | Uint16Array {
  const whole = frame.slice();
  const found = new Lossless().decode(whole.buffer, 0, whole.length, bits <= 8 ? 1 : 2);
  return bits <= 8 ? new Uint8Array(found.buffer) : new Uint16Array(found.buffer);
}
