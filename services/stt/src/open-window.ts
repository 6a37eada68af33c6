/** A model folder whose encoder takes a window of any length: links to the files of another, and the encoder changed. It lasts as long as its use. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openWindow } from './encoder-patch.ts'
import type { SpeechModelFiles } from './seq2seq.ts'

/** Gives `use` the folder. Throws when the encoder can not be changed. */
export async function withOpenWindow<T>(
  files: SpeechModelFiles,
  use: (files: SpeechModelFiles) => Promise<T>,
): Promise<T> {
  const encoder = files.dtype === 'q8' ? 'encoder_model_quantized.onnx' : 'encoder_model.onnx'
  const patched = openWindow(await readFile(join(files.dir, 'onnx', encoder)))
  if (!patched)
    throw new Error(
      'expected an encoder that adds a table of 1500 positions, to fit its window: set STT_FIT_WINDOW=off',
    )
  const dir = await mkdtemp(join(tmpdir(), 'hearth-whisper-'))
  try {
    await mkdir(join(dir, 'onnx'))
    for (const folder of ['', 'onnx'])
      for (const name of await readdir(join(files.dir, folder)))
        if (name !== 'onnx' && name !== encoder)
          await symlink(resolve(files.dir, folder, name), join(dir, folder, name))
    await writeFile(join(dir, 'onnx', encoder), patched)
    return await use({ ...files, dir })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
