// @ts-check
// What to do about files that are not what is needed: the code that makes them so, to be pasted into Python.

/** @type {(text: string) => string} */
const quoted = (text) => `'${text.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n')}'`;

/**
 * Code that saves what an expression gives, under another name than the file's own.
 * @param {string} path
 * @param {string} expression
 */
function save(path, expression) {
  const name = `${path.replace(/\.npy$/i, '.new')}.npy`;
  return `np.save(${quoted(name)}, ${expression})`;
}

/**
 * Code that converts a file: `how` stands for what is done to the array.
 * @param {{ path: string, tensor?: string | undefined, load?: string | undefined }} file
 * @param {(array: string) => string} how
 * @param {string} [options] of `np.load`
 */
export function convert({ path, tensor, load }, how, options = '') {
  const name = tensor === undefined ? path : `${path}.${tensor.replace(/[^\w.-]/g, '_')}`;
  return save(name, how(load ?? `np.load(${quoted(path)}${options})`));
}

/**
 * Code that loads a tensor.
 * @param {string} path
 * @param {string} tensor
 * @param {string} type NumPy has no bfloat16
 */
export const codeOfTensor = (path, tensor, type) =>
  type === 'bfloat16'
    ? `safetensors.torch.load_file(${quoted(path)})[${quoted(tensor)}].float().numpy()`
    : `safetensors.numpy.load_file(${quoted(path)})[${quoted(tensor)}]`;

/** @typedef {{ name: string, endings: RegExp, start?: string, load: (file: string) => string, note?: string }} Format */

const BFLOAT16 = ' (of bfloat16 .view(torch.uint16).numpy(), then --dtype bfloat16)';
const LISTS = " (of lists in a column np.stack(….['name']))";

/** @type {Format[]} */
const FORMATS = [
  {
    name: 'an .npz archive',
    endings: /\.npz$/,
    load: (file) => `np.load(${file})['arr_0']`,
    note: ' (arr_0 may have another name)',
  },
  {
    name: 'a file of PyTorch',
    endings: /\.(pt|pth)$/,
    load: (file) => `torch.load(${file}, map_location='cpu').detach().numpy()`,
    note: BFLOAT16,
  },
  {
    name: 'a Parquet file',
    endings: /\.(parquet|pq)$/,
    start: 'PAR1',
    load: (file) => `pd.read_parquet(${file}).to_numpy()`,
    note: LISTS,
  },
  {
    name: 'a Feather or Arrow file',
    endings: /\.(feather|arrow)$/,
    start: 'ARROW1',
    load: (file) => `pd.read_feather(${file}).to_numpy()`,
    note: LISTS,
  },
  {
    name: 'a table as text',
    endings: /\.(csv|tsv|txt)$/,
    load: (file) => `np.loadtxt(${file}, delimiter=${/\.tsv'$/i.test(file) ? "'\\t'" : "','"})`,
    note: ' (with a line of names add skiprows=1)',
  },
  { name: 'a JSON file', endings: /\.json$/, load: (file) => `np.array(json.load(open(${file})))` },
  {
    name: 'a file of JSON lines',
    endings: /\.(jsonl|ndjson)$/,
    load: (file) => `np.array([json.loads(line) for line in open(${file})])`,
  },
  {
    name: 'an HDF5 file',
    endings: /\.(h5|hdf5|hdf)$/,
    start: '\x89HDF',
    load: (file) => `h5py.File(${file})['name'][:]`,
  },
  {
    name: 'a pickle',
    endings: /\.(pkl|pickle)$/,
    load: (file) => `np.asarray(pickle.load(open(${file}, 'rb')))`,
  },
  {
    name: 'a compressed file',
    endings: /\.gz$/,
    start: '\x1f\x8b',
    load: (file) => `np.load(gzip.open(${file}))`,
  },
  {
    name: 'an .npz archive or a file of PyTorch',
    endings: /$^/,
    start: 'PK\x03\x04',
    load: (file) => `np.load(${file})['arr_0']`,
  },
];

/**
 * The format of a file by its name.
 * @param {string} path
 */
export const formatByName = (path) => FORMATS.find(({ endings }) => endings.test(path.toLowerCase()));

/**
 * What to say of a file that is not an .npy file.
 * @param {string} path
 * @param {Buffer} start its first bytes
 */
export function notNpy(path, start) {
  const text = start.toString('latin1', 0, 8);
  const format = formatByName(path) ?? FORMATS.find((each) => each.start && text.startsWith(each.start));
  if (!format) return 'is not an .npy file, as np.save writes it';
  const { name, load, note = '' } = format;
  return `is ${name}, not an .npy file${note}: ${save(path, load(quoted(path)))}`;
}
