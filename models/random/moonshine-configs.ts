/** The shapes of Moonshine's models, and the small files beside the weights as the hub has them. */

export type MoonshineShape = {
  readonly width: number
  readonly heads: number
  readonly layers: number
  readonly vocabulary: number
  /** How much of a head's width is turned by its position. */
  readonly rotary: number
}

export const MOONSHINE_SHAPES = {
  /** For tests: as the others, and quick. */
  small: { width: 40, heads: 4, layers: 2, vocabulary: 48, rotary: 0.8 },
  tiny: { width: 288, heads: 8, layers: 6, vocabulary: 32_768, rotary: 0.9 },
  base: { width: 416, heads: 8, layers: 8, vocabulary: 32_768, rotary: 0.62 },
} as const satisfies Record<string, MoonshineShape>

const MAX_TOKENS = 194
export const THETA = 10_000
const TOKENS = { unknown: 0, start: 1, end: 2 }

/** By file name. */
export function moonshineConfigs({
  width,
  heads,
  layers,
  vocabulary,
  rotary,
}: MoonshineShape): Record<string, unknown> {
  const ids = { bos_token_id: TOKENS.start, decoder_start_token_id: TOKENS.start, eos_token_id: TOKENS.end }
  return {
    'config.json': {
      ...ids,
      architectures: ['MoonshineForConditionalGeneration'],
      model_type: 'moonshine',
      is_encoder_decoder: true,
      attention_bias: false,
      hidden_size: width,
      intermediate_size: 4 * width,
      encoder_hidden_act: 'gelu',
      decoder_hidden_act: 'silu',
      encoder_num_hidden_layers: layers,
      decoder_num_hidden_layers: layers,
      encoder_num_attention_heads: heads,
      decoder_num_attention_heads: heads,
      encoder_num_key_value_heads: heads,
      decoder_num_key_value_heads: heads,
      partial_rotary_factor: rotary,
      rope_theta: THETA,
      max_position_embeddings: MAX_TOKENS,
      vocab_size: vocabulary,
    },
    'generation_config.json': { ...ids, max_length: MAX_TOKENS },
    'preprocessor_config.json': {
      feature_extractor_type: 'MoonshineFeatureExtractor',
      processor_class: 'MoonshineProcessor',
      do_normalize: false,
      feature_size: 1,
      padding_side: 'right',
      padding_value: 0,
      return_attention_mask: false,
      sampling_rate: 16_000,
    },
    'tokenizer.json': tokenizer(vocabulary),
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
    },
  }
}

/** As Llama's: spaces are written ▁. Every token is a word of its own. */
function tokenizer(vocabulary: number): object {
  const special = ['<unk>', '<s>', '</s>']
  const words = Array.from({ length: vocabulary }, (_, id) => special[id] ?? `▁w${id}`)
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges: [],
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
    },
  }
}
