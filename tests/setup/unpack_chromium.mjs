// Unpack the browser that @sparticuz/chromium carries: unpack_chromium.mjs <its bin folder> <destination>
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

const [source, destination] = process.argv.slice(2);
const unpack = (name) => brotliDecompressSync(readFileSync(join(source, name)));

writeFileSync(join(destination, "chromium"), unpack("chromium.br"), { mode: 0o755 });
for (const part of ["al2023", "swiftshader", "fonts"]) {
  const folder = part === "swiftshader" ? destination : join(destination, part);
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["xf", "-", "-C", folder], { input: unpack(`${part}.tar.br`) });
}
