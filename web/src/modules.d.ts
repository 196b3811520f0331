declare module "@cornerstonejs/*/decodewasmjs" {
  const factory: unknown;
  export default factory;
}
declare module "@cornerstonejs/*/decodewasm?url" {
  const url: string;
  export default url;
}
declare module "jpeg-lossless-decoder-js" {
  export class Decoder {
    decode(buffer: ArrayBuffer, offset: number, length: number, bytes: number): Uint8Array | Uint16Array;
  }
}
