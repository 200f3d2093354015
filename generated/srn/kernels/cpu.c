/* srn: fused node laws in float32, for float32 and bfloat16 arrays. C99 without headers.
 *
 * Made by cgc; do not edit, compile again. Random numbers are a function of the seed and an element's place (Philox 4x32,
 * 7 rounds), so that the backward pass draws what the forward pass drew.
 */

/* Both halves, or one, so that they can be compiled at once. */
#if !defined FORWARD && !defined BACKWARD
#define FORWARD
#define BACKWARD
#endif

/* In loops that are to become vectors no call may be left. */
#define INLINE static inline __attribute__((always_inline))

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { LANES = 256 }; /* so many elements are worked on at a time */
enum { AHEAD = 8 };   /* steps of a recurrence */

#define PARALLEL(threads) _Pragma("omp parallel for schedule(static) num_threads(threads)")
#ifndef _OPENMP
#undef PARALLEL
#define PARALLEL(threads) (void)threads;
#endif

/* Before a loop whose arrays lie apart: there are too many for a compiler to see it. */
#ifdef __clang__
#define APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define APART _Pragma("GCC ivdep")
#endif

INLINE u32 bits_of(float x) {
    union { float f; u32 u; } both = {x};
    return both.u;
}

INLINE float float_of(u32 x) {
    union { u32 u; float f; } both = {x};
    return both.f;
}

INLINE float larger(float a, float b) { return b > a ? b : a; }

INLINE float smaller(float a, float b) { return b < a ? b : a; }

INLINE u32 high_half(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }

/* Elements from `start` on as floats: where they are, or widened into `room`. */
static inline const float *loaded(float *restrict room, const void *from, long start, long count, int half) {
    if (!half) return (const float *)from + start;
    const u16 *x = (const u16 *)from + start;
    for (long i = 0; i < count; i++) room[i] = float_of((u32)x[i] << 16);
    return room;
}

/* Where elements from `start` on are written: their place, or `room`, from which `stored` takes them. */
static inline float *place(float *room, void *to, long start, int half) { return half ? room : (float *)to + start; }

static inline void stored(void *to, const float *restrict from, long start, long count, int half) {
    if (!half) return;
    u16 *x = (u16 *)to + start;
    for (long i = 0; i < count; i++) { /* to the nearest, ties to even */
        const u32 u = bits_of(from[i]);
        x[i] = (u16)(from[i] == from[i] ? (u + 0x7fff + ((u >> 16) & 1)) >> 16 : (u >> 16) | 0x40);
    }
}

/* Elements that will be needed some steps later are asked for. */
static inline void ask(const void *from, long start, long count, int half) {
    const char *x = (const char *)from + start * (half ? 2 : 4);
    for (long i = 0; i < count * (half ? 2 : 4); i += 64) __builtin_prefetch(x + i);
}


#ifdef FORWARD
/* Random words for the counters (first + i, later), i < count: 7 rounds of Philox 4x32. */
#ifdef __AVX2__
/* Counters, a word of each in the lower half of a lane. */
#if defined __AVX512F__ && !defined __clang__
typedef u64 counters __attribute__((vector_size(64)));
typedef long long products __attribute__((vector_size(64)));
typedef int factors __attribute__((vector_size(64)));
#define EVENS {0, 2, 4, 6, 8, 10, 12, 14}
#define low_product(a, b) ((counters)__builtin_ia32_pmuludq512_mask((factors)(a), (factors)(b), (products){0}, 255))
#else
typedef u64 counters __attribute__((vector_size(32)));
#define EVENS {0, 2, 4, 6}
#ifdef __clang__
#define low_product(a, b) (((a) & 0xffffffffu) * (b))
#else
typedef int factors __attribute__((vector_size(32)));
#define low_product(a, b) ((counters)__builtin_ia32_pmuludq256((factors)(a), (factors)(b)))
#endif
#endif

static inline void philox_rounds(counters c[4], u32 k0, u32 k1) {
    const counters none = {0}, m0 = none + 0xd2511f53u, m1 = none + 0xcd9e8d57u;
#pragma GCC unroll 7
    for (int round = 0; round < 7; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        const counters p0 = low_product(c[0], m0), p1 = low_product(c[2], m1); /* what is in upper halves does not matter */
        c[0] = (p1 >> 32) ^ c[1] ^ (u64)k0;
        c[2] = (p0 >> 32) ^ c[3] ^ (u64)k1;
        c[1] = p1;
        c[3] = p0;
    }
}

static void philox(u32 words[4][LANES], u64 first, u32 later, u64 seed, long count) {
    const counters none = {0}, evens = EVENS;
    for (long i = 0; i < count; i += sizeof none / 4) {
        const counters even = evens + (first + (u64)i), odd = even + 1;
        counters a[4] = {even, even >> 32, none + later, none}, b[4] = {odd, odd >> 32, none + later, none};
        philox_rounds(a, (u32)seed, (u32)(seed >> 32));
        philox_rounds(b, (u32)seed, (u32)(seed >> 32));
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const counters both = (a[k] & 0xffffffffu) | (b[k] << 32);
            __builtin_memcpy(&words[k][i], &both, sizeof both);
        }
    }
}
#else
static void philox(u32 words[4][LANES], u64 first, u32 later, u64 seed, long count) {
    const u32 low = (u32)first, high = (u32)(first >> 32), k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (long i = 0; i < count; i++) {
        const u32 c0 = low + (u32)i, c1 = high + (c0 < low);
        const u32 w0 = (high_half(later, 0xcd9e8d57u) ^ c1) ^ k0;
        const u32 w1 = k1 + 0xbb67ae85u;
        const u32 w2 = (high_half(w0, 0xd2511f53u) ^ (c0 * 0xd2511f53u)) ^ w1;
        const u32 w3 = (high_half(c0, 0xd2511f53u) ^ 0u) ^ k1;
        const u32 w4 = k0 + 0x9e3779b9u;
        const u32 w5 = w4 + 0x9e3779b9u;
        const u32 w6 = (high_half(w2, 0xcd9e8d57u) ^ (w3 * 0xcd9e8d57u)) ^ w5;
        const u32 w7 = (high_half(w3, 0xcd9e8d57u) ^ (later * 0xcd9e8d57u)) ^ w4;
        const u32 w8 = w1 + 0xbb67ae85u;
        const u32 w9 = w8 + 0xbb67ae85u;
        const u32 w10 = (high_half(w6, 0xd2511f53u) ^ (w7 * 0xd2511f53u)) ^ w9;
        const u32 w11 = (high_half(w7, 0xd2511f53u) ^ (w0 * 0xd2511f53u)) ^ w8;
        const u32 w12 = w5 + 0x9e3779b9u;
        const u32 w13 = w12 + 0x9e3779b9u;
        const u32 w14 = (high_half(w10, 0xcd9e8d57u) ^ (w11 * 0xcd9e8d57u)) ^ w13;
        const u32 w15 = (high_half(w11, 0xcd9e8d57u) ^ (w2 * 0xcd9e8d57u)) ^ w12;
        const u32 w16 = w9 + 0xbb67ae85u;
        const u32 w17 = w16 + 0xbb67ae85u;
        const u32 w18 = (high_half(w14, 0xd2511f53u) ^ (w15 * 0xd2511f53u)) ^ w17;
        const u32 w19 = (high_half(w15, 0xd2511f53u) ^ (w6 * 0xd2511f53u)) ^ w16;
        const u32 w20 = w13 + 0x9e3779b9u;
        const u32 w21 = (high_half(w19, 0xcd9e8d57u) ^ (w10 * 0xcd9e8d57u)) ^ w20;
        words[0][i] = (high_half(w18, 0xcd9e8d57u) ^ (w19 * 0xcd9e8d57u)) ^ (w20 + 0x9e3779b9u);
        words[1][i] = w18 * 0xcd9e8d57u;
        words[2][i] = (high_half(w21, 0xd2511f53u) ^ (w14 * 0xd2511f53u)) ^ (w17 + 0xbb67ae85u);
        words[3][i] = w21 * 0xd2511f53u;
    }
}
#endif
#endif

/* tanh x: x P(x²) / Q(x²), and 1 from 8.3 on. */
INLINE float f32_tanh(float x) {
    const float f0 = smaller(larger(x, -8.3f), 8.3f);
    const float f1 = f0 * f0;
    const float f2 = ((2.1548955e-11f * f1 - 1.4011997e-08f) * f1 + 9.66442e-06f) * f1 + 0.0029633713f;
    const float f3 = ((0.00023404024f * f1 + 0.023936747f) * f1 + 0.46291894f) * f1 + 1.0f;
    const float f4 = larger(f0 * (((f2 * f1 + 0.12958588f) * f1 + 0.99999994f) / f3), -1.0f);
    return smaller(f4, 1.0f);
}

/* log x of a positive normal number, to six digits. */
INLINE float f32_log_of_normal(float x) {
    const u32 w0 = bits_of(x);
    const u32 w1 = (w0 - 0xffb504f3u) >> 23;
    const float f2 = float_of(w0 - ((w1 - 0x7fu) << 23)) - 1.0f;
    const float f3 = ((0.08531075f * f2 - 0.14268601f) * f2 + 0.14977854f) * f2 - 0.165781f;
    const float f4 = (((f3 * f2 + 0.19955903f) * f2 - 0.25001347f) * f2 + 0.33334193f) * f2;
    return (((float)(int)w1) - 127.0f) * 0.6931472f + f2 * ((f4 - 0.49999997f) * f2 + 1.0f);
}

/* z with Φ(-z) = q, 0 < q ≤ ½. */
INLINE float f32_normal_quantile(float q) {
    const float f0 = -f32_log_of_normal(4.0f * (q - q * q));
    const int t1 = f0 < 6.0f;
    const float f2 = ((-1.5502572e-08f * f0 + 4.0679976e-07f) * f0 - 3.471604e-06f) * f0;
    const float f3 = ((f2 + 2.0859494e-07f) * f0 + 0.00015956757f) * f0 - 0.0004199645f;
    const float f4 = (((f3 * f0 - 0.00654367f) * f0 + 0.032635722f) * f0 + 0.65623957f) * f0;
    const float f5 = f4 + 2.506628f;
    const float f6 = f0 - 14.0f;
    const float f7 = ((-1.32885595e-11f * f6 + 1.032533e-10f) * f6 + 1.4534697e-09f) * f6;
    const float f8 = ((f7 - 2.5928085e-08f) * f6 + 4.1748993e-07f) * f6 - 9.559786e-06f;
    const float f9 = ((f8 * f6 + 0.00023081605f) * f6 - 0.006703512f) * f6 + 0.3812305f;
    const float f10 = f9 * f6 + 10.123195f;
    return (0.5f - q) * (t1 ? f5 : f10);
}


#ifdef FORWARD
/* Where few elements are drawn, these are brought together, so that what they become is computed for them alone. */
#define FEW 0.6f

/* What would be copied into loops, and make many of them. */
#define OUTLINE static __attribute__((noinline))

/* What gcc is not to make branches of, which become masks that are worked out lane by lane. */
#ifdef __clang__
#define BRANCHLESS
#else
#define BRANCHLESS __attribute__((optimize("no-thread-jumps")))
#endif

INLINE int coin(float rate, u32 w0) {
    return (((float)(int)(w0 >> 8)) * 5.9604645e-08f) < rate;
}

/* Lanes of a block: which have their sign set, as bits; those told by bits brought together; and the way back, between other lanes. */
#if defined __AVX512F__ && defined __AVX512DQ__ && !defined __clang__
enum { BLOCK = 16 };
typedef int block __attribute__((vector_size(64)));

INLINE u32 bits_set(block x) { return (u16)__builtin_ia32_cvtd2mask512(x); }

INLINE block packed(block x, u32 mask) { return __builtin_ia32_compresssi512_mask(x, x, (u16)mask); }

INLINE block spread(block x, block others, u32 mask) { return __builtin_ia32_expandsi512_mask(x, others, (u16)mask); }

#elif defined __AVX2__ && defined __BMI2__ && !defined __clang__
enum { BLOCK = 8 };
typedef int block __attribute__((vector_size(32)));
typedef float float_block __attribute__((vector_size(32)));

INLINE u32 bits_set(block x) { return (u32)__builtin_ia32_movmskps256((float_block)x); }

/* A mask's bits, four times each. */
INLINE u32 fourfold(u32 mask) { return __builtin_ia32_pdep_si(mask, 0x11111111u) * 15; }

/* Lanes in another order: lane i is that of the i-th hexadecimal digit. */
INLINE block ordered(block x, u32 digits) {
    typedef u32 unsigned_block __attribute__((vector_size(32)));
    const unsigned_block shifts = {0, 4, 8, 12, 16, 20, 24, 28}, none = {0};
    return __builtin_ia32_permvarsi256(x, (block)((none + digits) >> shifts));
}

INLINE block packed(block x, u32 mask) { return ordered(x, __builtin_ia32_pext_si(0x76543210u, fourfold(mask))); }

INLINE block spread(block x, block others, u32 mask) {
    const block bits = {1, 2, 4, 8, 16, 32, 64, 128}, none = {0}, here = ((none + (int)mask) & bits) != none;
    return (here & ordered(x, __builtin_ia32_pdep_si(0x76543210u, fourfold(mask)))) | (~here & others);
}
#else
enum { BLOCK = 8 };
typedef struct {
    u32 lane[BLOCK];
} block;

INLINE u32 bits_set(block x) {
    u32 mask = 0;
    for (int k = 0; k < BLOCK; k++) mask |= (x.lane[k] >> 31) << k;
    return mask;
}

INLINE block packed(block x, u32 mask) {
    for (int k = 0, some = 0; k < BLOCK; k++) {
        x.lane[some] = x.lane[k];
        some += mask >> k & 1;
    }
    return x;
}

INLINE block spread(block x, block others, u32 mask) {
    for (int k = 0, some = 0; k < BLOCK; k++)
        if (mask >> k & 1) others.lane[k] = x.lane[some++];
    return others;
}
#endif

INLINE block block_at(const void *from) {
    block x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
}

INLINE void put(void *to, block x) { __builtin_memcpy(to, &x, sizeof x); }

INLINE void copied(float *restrict to, const float *restrict from, long count) {
    for (long i = 0; i < count; i++) to[i] = from[i];
}
#endif

/* From which steps of loops draw. */

INLINE float node0_expectation(float e) {
    return larger(e, 0.0f);
}

INLINE float node0_slope_of_value(float h) {
    const int t0 = 0.0f < h;
    return t0 ? 1.0f : 0.0f;
}

INLINE float node0_drawn(float e, float rate, u32 w0) {
    const float f0 = smaller((((float)(int)(w0 >> 1)) + 0.5f) * (2.3283064e-10f / rate), 0.5f);
    const float f1 = float_of(bits_of(f32_normal_quantile(f0)) ^ ((w0 << 31) & 0x80000000u));
    return larger(e + f32_tanh(e) * f1, 0.0f);
}

INLINE float node0_through(float e, float rate, u32 w0) {
    const float f0 = f32_tanh(e);
    const float f1 = smaller((((float)(int)(w0 >> 1)) + 0.5f) * (2.3283064e-10f / rate), 0.5f);
    const float f2 = float_of(bits_of(f32_normal_quantile(f1)) ^ ((w0 << 31) & 0x80000000u));
    const int t3 = (e + f0 * f2) < 0.0f;
    const float f4 = 1.0f + f2 * (4.0f * ((1.0f - f0) * (1.0f + f0) * 0.25f));
    return t3 ? 0.0f : f4;
}

#ifdef FORWARD
/* What a block of nodes becomes that are drawn, and the slopes of that where there is room for them; an element's words lie so far apart. A
 * function of its own for a loop of few rounds, often one: no constants wait in registers for the next. */
OUTLINE BRANCHLESS void node0_block(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict word, long apart,
                                         float rate) {
    (void)apart;
    if (slope)
        for (int i = 0; i < BLOCK; i++) {
            to[i] = node0_drawn(e[i], rate, word[i]);
            slope[i] = node0_through(e[i], rate, word[i]);
        }
    else
        for (int i = 0; i < BLOCK; i++) to[i] = node0_drawn(e[i], rate, word[i]);
}

/* What nodes become that may be drawn, likewise, a block at a time: those that are drawn are brought together, as they are few. */
OUTLINE void node0_few(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict words, long count, float rate) {
    u32 masks[LANES / BLOCK], word[1][LANES + BLOCK];
    float energy[LANES + BLOCK], value[LANES + BLOCK], sloped[LANES + BLOCK];
    const block none = {0};
    long some = 0;
    for (long i = 0; i < count; i += BLOCK) {
        u32 drawn[BLOCK];
        for (int k = 0; k < BLOCK; k++) drawn[k] = (u32)-coin(rate, words[i + k]);
        const u32 mask = bits_set(block_at(drawn)) & (count - i < BLOCK ? (1u << (count - i)) - 1 : (u32)(1ull << BLOCK) - 1);
        masks[i / BLOCK] = mask;
        put(energy + some, packed(block_at(e + i), mask));
        for (int k = 0; k < 1; k++) put(word[k] + some, packed(block_at(words + k * LANES + i), mask));
        some += __builtin_popcount(mask);
    }
    put(energy + some, none);
    for (int k = 0; k < 1; k++) put(word[k] + some, none);
    for (long i = 0; i < some; i += BLOCK) node0_block(value + i, slope ? sloped + i : 0, energy + i, word[0] + i, LANES + BLOCK, rate);
    some = 0;
    for (long i = 0; i < count; i += BLOCK) {
        const u32 mask = masks[i / BLOCK];
        float other[BLOCK], other_slope[BLOCK];
        for (int k = 0; k < BLOCK; k++) other[k] = node0_expectation(e[i + k]);
        put(to + i, spread(block_at(value + some), block_at(other), mask));
        if (slope) {
            for (int k = 0; k < BLOCK; k++) other_slope[k] = node0_slope_of_value(other[k]);
            put(slope + i, spread(block_at(sloped + some), block_at(other_slope), mask));
        }
        some += __builtin_popcount(mask);
    }
}

/* The same, however many are drawn. */
OUTLINE void node0_many(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict words, long count, float rate) {
    for (long i = 0; i < count; i += BLOCK) {
        float value[BLOCK], sloped[BLOCK];
        node0_block(value, slope ? sloped : 0, e + i, words + i, LANES, rate);
        for (int k = 0; k < BLOCK; k++) {
            const float other = node0_expectation(e[i + k]);
            to[i + k] = coin(rate, words[i + k]) ? value[k] : other;
        }
        if (slope)
            for (int k = 0; k < BLOCK; k++) {
                const float other = node0_slope_of_value(to[i + k]);
                slope[i + k] = coin(rate, words[i + k]) ? sloped[k] : other;
            }
    }
}

/* The same of so many as there are: what are no whole blocks is worked on elsewhere. */
OUTLINE void node0_infer(float *restrict to, float *restrict slope, const float *restrict e, u32 (*restrict words)[LANES], int part,
                                   long count, float rate) {
    const u32 *given = words[part];
    (void)part;
    if (count % BLOCK) {
        float energy[LANES] = {0}, value[LANES], sloped[LANES];
        copied(energy, e, count);
        (rate < FEW ? node0_few : node0_many)(value, slope ? sloped : 0, energy, given, count, rate);
        copied(to, value, count);
        if (slope) copied(slope, sloped, count);
    } else
        (rate < FEW ? node0_few : node0_many)(to, slope, e, given, count, rate);
}

#endif


#ifdef FORWARD
/* A word for each of `count` elements from the first on, four of a block. */
static void shared(u32 to[LANES], u64 first, u32 later, u64 seed, long count) {
    const long blocks = ((long)(first % 4) + count + 3) / 4;
    u32 words[4][LANES], all[LANES + 8];
    philox(words, first / 4, later, seed, blocks);
    for (long i = 0; i < blocks; i++) {
        u32 *place = all + 4 * i;
        place[0] = words[0][i], place[1] = words[1][i], place[2] = words[2][i], place[3] = words[3][i];
    }
    for (long i = 0; i < count; i += 16) __builtin_memcpy(to + i, all + first % 4 + i, 16 * sizeof *to);
}
#endif


/* One step t of h, node by node. Arrays are (rows, steps, features), of which rows and steps lie as far apart as is
 * told: x is what is known of energies, p products, v what layers became, v1_2 layer 1 two steps before, s slopes, u weights and biases; e and what
 * begins with d are gradients, g those of what layers became. */

#ifdef FORWARD
void cell_forward(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    PARALLEL(threads)
    for (long job = 0; job < rows * chunks; job++) {
        const long row = job / chunks, first = job % chunks * LANES;
        const long count = features - first < LANES ? features - first : LANES;
        float *in_p0 = at[0] + row * rows_apart[0] + t * steps_apart[0] + first;
        float *in_x0 = at[1] + row * rows_apart[1] + t * steps_apart[1] + first;
        float *to_v0 = at[2] + row * rows_apart[2] + t * steps_apart[2] + first;
        APART
        for (long i = 0; i < count; i++) {
            const float p0 = in_p0[i];
            const float x0 = in_x0[i];
            to_v0[i] = larger(x0 + p0, 0.0f);
        }
    }
}
#endif

#ifdef BACKWARD
void cell_backward(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    PARALLEL(threads)
    for (long job = 0; job < rows * chunks; job++) {
        const long row = job / chunks, first = job % chunks * LANES;
        const long count = features - first < LANES ? features - first : LANES;
        float *in_g0 = at[0] + row * rows_apart[0] + t * steps_apart[0] + first;
        float *in_v0 = at[1] + row * rows_apart[1] + t * steps_apart[1] + first;
        float *to_e0 = at[2] + row * rows_apart[2] + t * steps_apart[2] + first;
        APART
        for (long i = 0; i < count; i++) {
            const float g0 = in_g0[i];
            const float v0 = in_v0[i];
            const int t0 = 0.0f < v0;
            to_e0[i] = g0 * (t0 ? 1.0f : 0.0f);
        }
    }
}
#endif

#ifdef FORWARD
void cell_drawn(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    /* where features are few, several rows at a time, so that what is drawn fills vectors */
    const long fit = features > 0 ? LANES / features : 1, share = (rows + threads - 1) / threads;
    const long several = fit < 1 || share < 1 ? 1 : fit < share ? fit : share;
    PARALLEL(threads)
    for (long job = 0; job < (rows + several - 1) / several * chunks; job++) {
        const long row = job / chunks * several, first = job % chunks * LANES;
        const long beside = rows - row < several ? rows - row : several;
        const long width = features - first < LANES ? features - first : LANES, count = beside * width;
        u32 words[1][LANES];
        for (u32 k = 0; k < 1; k++) shared(words[k], (u64)(row * features + first), (u32)t * 1 + k + 1, seed, count);
        float e0[LANES], v0[LANES], s0[LANES];
        for (long r = 0; r < beside; r++) {
            const long place = r * width;
            const float *in_p0 = at[0] + (row + r) * rows_apart[0] + t * steps_apart[0] + first;
            const float *in_x0 = at[1] + (row + r) * rows_apart[1] + t * steps_apart[1] + first;
            float *to_e0 = e0 + place;
            APART
            for (long i = 0; i < width; i++) {
                const float p0 = in_p0[i];
                const float x0 = in_x0[i];
                to_e0[i] = x0 + p0;
            }
        }
        node0_infer(v0, s0, e0, words + 0, 0, count, rate);
        for (long r = 0; r < beside; r++) {
            copied(at[2] + (row + r) * rows_apart[2] + t * steps_apart[2] + first, v0 + r * width, width);
            copied(at[3] + (row + r) * rows_apart[3] + t * steps_apart[3] + first, s0 + r * width, width);
        }
    }
}
#endif

#ifdef BACKWARD
void cell_drawn_backward(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    PARALLEL(threads)
    for (long job = 0; job < rows * chunks; job++) {
        const long row = job / chunks, first = job % chunks * LANES;
        const long count = features - first < LANES ? features - first : LANES;
        float *in_g0 = at[0] + row * rows_apart[0] + t * steps_apart[0] + first;
        float *in_s0 = at[1] + row * rows_apart[1] + t * steps_apart[1] + first;
        float *to_e0 = at[2] + row * rows_apart[2] + t * steps_apart[2] + first;
        APART
        for (long i = 0; i < count; i++) {
            const float g0 = in_g0[i];
            const float s0 = in_s0[i];
            to_e0[i] = g0 * s0;
        }
    }
}
#endif

#ifdef FORWARD
/* Whether all of an array lies between two numbers, or is one of them where they are states. */
int all_within(const float *x, long n, double low, double high, int states) {
    int all = 1;
    if (states)
        for (long i = 0; i < n; i++) all &= (x[i] == low) | (x[i] == high);
    else
        for (long i = 0; i < n; i++) all &= (x[i] >= low) & (x[i] <= high);
    return all;
}
#endif
