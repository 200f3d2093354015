/* causal: fused node laws in float32, for float32 and bfloat16 arrays. C99 without headers.
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

/* e^x; 0 from -104 on, infinite from 89 on. */
INLINE float f32_exp(float x) {
    const float f0 = smaller(larger(x, -104.0f), 90.0f);
    const float f1 = f0 * 1.442695f + 12582912.0f;
    const float f2 = f1 - 12582912.0f;
    const float f3 = f0 - f2 * 0.6933594f - f2 * -0.00021219444f;
    const float f4 = ((0.0013926919f * f3 + 0.008363767f) * f3 + 0.04166655f) * f3 + 0.16666573f;
    const u32 w5 = (bits_of(f1) - 0x4b400000u) + 0x12cu;
    const u32 w6 = w5 >> 1;
    const float f7 = (1.0f + (f3 + f3 * f3 * (f4 * f3 + 0.5f))) * float_of((w6 + 0xffffffe9u) << 23);
    return f7 * float_of(((w5 - w6) + 0xffffffe9u) << 23);
}

/* log(1 + t) for 0 ≤ t ≤ 1: twice atanh(t / (2 + t)). */
INLINE float f32_log1p_small(float x) {
    const float f0 = x / (2.0f + x);
    const float f1 = 2.0f * f0;
    const float f2 = f0 * f0;
    const float f3 = ((0.10396419f * f2 + 0.087317005f) * f2 + 0.11132412f) * f2 + 0.14285152f;
    return f1 + f1 * f2 * ((f3 * f2 + 0.20000005f) * f2 + 0.33333334f);
}

/* log(1 + e^x). */
INLINE float f32_softplus(float x) {
    return larger(x, 0.0f) + f32_log1p_small(f32_exp(-__builtin_fabsf(x)));
}

/* 1 / (1 + e^-x). */
INLINE float f32_sigmoid(float x) {
    const int t0 = x < 0.0f;
    const float f1 = f32_exp(-__builtin_fabsf(x));
    const float f2 = 1.0f / (1.0f + f1);
    const float f3 = f1 * f2;
    return t0 ? f3 : f2;
}

/* log x; -∞ at 0, no number below. */
INLINE float f32_log(float x) {
    const int t0 = x <= 0.0f;
    const int t1 = x < 0.0f;
    const float f2 = t1 ? __builtin_nanf("") : (-__builtin_inff());
    const int t3 = x < __builtin_inff();
    const int t4 = x < 1.1754944e-38f;
    const float f5 = x * 8388608.0f;
    const u32 w6 = bits_of(t4 ? f5 : x);
    const u32 w7 = (w6 - 0xffb504f3u) >> 23;
    const float f8 = ((float)(int)w7) - (t4 ? 150.0f : 127.0f);
    const float f9 = float_of(w6 - ((w7 - 0x7fu) << 23)) - 1.0f;
    const float f10 = f9 / (2.0f + f9);
    const float f11 = f10 * f10;
    const float f12 = ((0.11668406f * f11 + 0.14275293f) * f11 + 0.20000061f) * f11 + 0.33333334f;
    const float f13 = f8 * 0.6933594f + (f9 - f10 * (f9 - 2.0f * f11 * f12) + f8 * -0.00021219444f);
    const float f14 = t3 ? f13 : x;
    return t0 ? f2 : f14;
}

/* log(1 + x). */
INLINE float f32_log1p(float x) {
    const float f0 = 1.0f + x;
    const float f1 = f0 - 1.0f;
    const int t2 = f1 == 0.0f;
    const int t3 = f0 < __builtin_inff();
    const float f4 = f32_log(f0) * (x / f1);
    const float f5 = t3 ? f4 : f0;
    return t2 ? x : f5;
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


/* X = max(0, Y), Y = e + n, n ~ Logistic(0, 1) */

INLINE float Soft_expectation(float e) {
    return f32_softplus(e);
}

INLINE float Soft_slope(float e) {
    return f32_sigmoid(e);
}

INLINE float Soft_drawn(float e, float rate, u32 w0) {
    const float f0 = smaller((((float)(int)(w0 >> 1)) + 0.5f) * (2.3283064e-10f / rate), 0.5f);
    const u32 w1 = bits_of(f32_log1p(-f0) - f32_log_of_normal(f0)) ^ ((w0 << 31) & 0x80000000u);
    return larger(e + float_of(w1), 0.0f);
}

INLINE float Soft_through(float e, float rate, u32 w0) {
    const float f0 = smaller((((float)(int)(w0 >> 1)) + 0.5f) * (2.3283064e-10f / rate), 0.5f);
    const u32 w1 = bits_of(f32_log1p(-f0) - f32_log_of_normal(f0)) ^ ((w0 << 31) & 0x80000000u);
    const int t2 = (e + float_of(w1)) < 0.0f;
    return t2 ? 0.0f : 1.0f;
}

#ifdef FORWARD
/* What a block of nodes becomes that are drawn, and the slopes of that where there is room for them; an element's words lie so far apart. A
 * function of its own for a loop of few rounds, often one: no constants wait in registers for the next. */
OUTLINE BRANCHLESS void Soft_block(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict word, long apart,
                                         float rate) {
    (void)apart;
    if (slope)
        for (int i = 0; i < BLOCK; i++) {
            to[i] = Soft_drawn(e[i], rate, word[i]);
            slope[i] = Soft_through(e[i], rate, word[i]);
        }
    else
        for (int i = 0; i < BLOCK; i++) to[i] = Soft_drawn(e[i], rate, word[i]);
}

/* What nodes become that may be drawn, likewise, a block at a time: those that are drawn are brought together, as they are few. */
OUTLINE void Soft_few(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict words, long count, float rate) {
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
    for (long i = 0; i < some; i += BLOCK) Soft_block(value + i, slope ? sloped + i : 0, energy + i, word[0] + i, LANES + BLOCK, rate);
    some = 0;
    for (long i = 0; i < count; i += BLOCK) {
        const u32 mask = masks[i / BLOCK];
        float other[BLOCK], other_slope[BLOCK];
        for (int k = 0; k < BLOCK; k++) other[k] = Soft_expectation(e[i + k]);
        put(to + i, spread(block_at(value + some), block_at(other), mask));
        if (slope) {
            for (int k = 0; k < BLOCK; k++) other_slope[k] = Soft_slope(e[i + k]);
            put(slope + i, spread(block_at(sloped + some), block_at(other_slope), mask));
        }
        some += __builtin_popcount(mask);
    }
}

/* The same, however many are drawn. */
OUTLINE void Soft_many(float *restrict to, float *restrict slope, const float *restrict e, const u32 *restrict words, long count, float rate) {
    for (long i = 0; i < count; i += BLOCK) {
        float value[BLOCK], sloped[BLOCK];
        Soft_block(value, slope ? sloped : 0, e + i, words + i, LANES, rate);
        for (int k = 0; k < BLOCK; k++) {
            const float other = Soft_expectation(e[i + k]);
            to[i + k] = coin(rate, words[i + k]) ? value[k] : other;
        }
        if (slope)
            for (int k = 0; k < BLOCK; k++) {
                const float other = Soft_slope(e[i + k]);
                slope[i + k] = coin(rate, words[i + k]) ? sloped[k] : other;
            }
    }
}

/* The same of so many as there are: what are no whole blocks is worked on elsewhere. */
OUTLINE void Soft_infer(float *restrict to, float *restrict slope, const float *restrict e, u32 (*restrict words)[LANES], int part,
                                   long count, float rate) {
    const u32 *given = words[part];
    (void)part;
    if (count % BLOCK) {
        float energy[LANES] = {0}, value[LANES], sloped[LANES];
        copied(energy, e, count);
        (rate < FEW ? Soft_few : Soft_many)(value, slope ? sloped : 0, energy, given, count, rate);
        copied(to, value, count);
        if (slope) copied(slope, sloped, count);
    } else
        (rate < FEW ? Soft_few : Soft_many)(to, slope, e, given, count, rate);
}

#endif
#ifdef FORWARD
/* Slopes are kept where there is room for them. */
void Soft_forward(const void *e, void *h, float *slopes, long n, int half, float rate, u64 seed, int threads) {
    (void)seed, (void)rate, (void)slopes;
    PARALLEL(threads)
    for (long tile = 0; tile < (n + 4 * LANES - 1) / (4 * LANES); tile++) {
        float room[LANES], result[LANES];
        u32 words[4][LANES];
        if (rate > 0) philox(words, (u64)tile * LANES, 0, seed, n < LANES ? n : LANES);
        for (int part = 0; part < 4; part++) {
            const long start = (tile * 4 + part) * LANES;
            const long count = n - start < LANES ? n - start : LANES;
            if (count <= 0) break;
            const float *restrict x = loaded(room, e, start, count, half);
            float *restrict to = place(result, h, start, half), *restrict slope = slopes ? slopes + start : 0;
            if (rate > 0) {
                Soft_infer(to, slope, x, words, part, count, rate);
                stored(h, to, start, count, half);
                continue;
            }
                for (long i = 0; i < count; i++) to[i] = Soft_expectation(x[i]);
            if (slope)
                for (long i = 0; i < count; i++) slope[i] = Soft_slope(x[i]);
            stored(h, to, start, count, half);
        }
    }
}

#endif
#ifdef BACKWARD
/* how: 0 from the value h, 1 from the energy, whichever is `saved`. */
void Soft_backward(const void *g, const void *saved, void *ge, long n, int half, int how, int threads) {
    (void)how;
    PARALLEL(threads)
    for (long tile = 0; tile < (n + 4 * LANES - 1) / (4 * LANES); tile++) {
        float room[2][LANES], result[LANES];
        for (int part = 0; part < 4; part++) {
            const long start = (tile * 4 + part) * LANES;
            const long count = n - start < LANES ? n - start : LANES;
            if (count <= 0) break;
            const float *restrict x = loaded(room[0], saved, start, count, half);
            const float *restrict d = loaded(room[1], g, start, count, half);
            float *restrict to = place(result, ge, start, half);
            if (how == 1)
                for (long i = 0; i < count; i++) to[i] = d[i] * Soft_slope(x[i]);
            stored(ge, to, start, count, half);
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
