// Open a file with the reader of Netron that lies beside this script; print what its window shows.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { BinaryStream } from './base.js';
import { ModelFactoryService } from './view.js';

const here = new URL('.', import.meta.url);
const fail = (error) => { throw error; };
const load = (id) => import(new URL(`${id.replace('./', '')}.js`, here));
const path = process.argv[2];
const context = {
    identifier: basename(path),
    stream: new BinaryStream(new Uint8Array(readFileSync(path))),
    entries: new Map(),
    require: load,
    asset: (file) => readFileSync(new URL(file, here), 'utf-8'),
    error: fail
};
const host = { environment: () => null, require: load, exception: fail };
const model = await new ModelFactoryService(host).open(context);

const graph = (of) => ({
    inputs: of.inputs.map((port) => port.name),
    outputs: of.outputs.map((port) => port.name),
    nodes: of.nodes.map((node) => node.type.name),
    bodies: Object.fromEntries(of.nodes.filter((node) => node.type.nodes)
        .map((node) => [node.type.name, node.type.nodes.map((inner) => inner.type.name)])),
    inner: of.nodes.flatMap((node) => node.attributes)
        .filter((attribute) => attribute.type === 'graph')
        .map((attribute) => graph(attribute.value))
});
console.log(JSON.stringify({
    format: model.format,
    imports: model.imports,
    metadata: model.metadata.map((entry) => entry.name),
    graphs: model.modules.map(graph),
    functions: model.functions.map((entry) => entry.name)
}));
