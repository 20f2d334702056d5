// Takes a class out of a document and makes a module of it that browsers read: its types go, nothing else changes.
//
//   node transpile.mjs DOCUMENT FILE-NAME OUTPUT
// FILE-NAME is what the document calls the class's file, in the first line of its block.
import { readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';

const [document, name, output] = process.argv.slice(2);
const blocks = readFileSync(document, 'utf8').split(/^```\w*\r?\n/m);
const block = blocks.find((text) => text.startsWith(`// ${name}`));
if (!block) throw new Error(`${document} has no ${name}`);
const source = block.split(/^```/m)[0];
const { outputText } = ts.transpileModule(source, {
  compilerOptions: { target: ts.ScriptTarget.ES2020, module: ts.ModuleKind.ES2020 },
});
writeFileSync(output, outputText);
