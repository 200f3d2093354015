/* mnist_dense: fused node laws in float32, for float32 and bfloat16 arrays. C99 without headers.
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

/* tanh x: x P(x²) / Q(x²), and 1 from 8.3 on. */
INLINE float f32_tanh(float x) {
    const float f0 = smaller(larger(x, -8.3f), 8.3f);
    const float f1 = f0 * f0;
    const float f2 = ((2.1548955e-11f * f1 - 1.4011997e-08f) * f1 + 9.66442e-06f) * f1 + 0.0029633713f;
    const float f3 = ((0.00023404024f * f1 + 0.023936747f) * f1 + 0.46291894f) * f1 + 1.0f;
    const float f4 = larger(f0 * (((f2 * f1 + 0.12958588f) * f1 + 0.99999994f) / f3), -1.0f);
    return smaller(f4, 1.0f);
}

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

/* σ(x) σ(-x). */
INLINE float f32_logistic_pdf(float x) {
    const float f0 = f32_exp(-__builtin_fabsf(x));
    const float f1 = 1.0f / (1.0f + f0);
    return f0 * f1 * f1;
}


/* p(x | e) ∝ exp(e*x), x in {-1, 1} */

INLINE float Spin_expectation(float e) {
    return f32_tanh(e);
}

INLINE float Spin_slope(float e) {
    return 4.0f * f32_logistic_pdf(2.0f * e);
}

INLINE float Spin_slope_of_value(float h) {
    return (h + 1.0f) * (1.0f - h);
}

INLINE float Spin_inferred(float e, float rate, u32 w0) {
    const float f0 = ((float)(int)(w0 >> 8)) * 5.9604645e-08f;
    const int t1 = f0 < rate;
    const float f2 = f32_tanh(e);
    const int t3 = f0 < (rate * (0.5f * f2 + 0.5f));
    const float f4 = 2.0f * (t3 ? 1.0f : 0.0f) - 1.0f;
    return t1 ? f4 : f2;
}

#ifdef FORWARD
/* Slopes are kept where there is room for them. */
void Spin_forward(const void *e, void *h, float *slopes, long n, int half, float rate, u64 seed, int threads) {
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
            if (rate > 0)
                for (long i = 0; i < count; i++) to[i] = Spin_inferred(x[i], rate, words[part][i]);
            else
                for (long i = 0; i < count; i++) to[i] = Spin_expectation(x[i]);
            if (slope)
                for (long i = 0; i < count; i++) slope[i] = Spin_slope_of_value(to[i]);
            stored(h, to, start, count, half);
        }
    }
}

#endif
#ifdef BACKWARD
/* how: 0 from the value h, 1 from the energy, whichever is `saved`. */
void Spin_backward(const void *g, const void *saved, void *ge, long n, int half, int how, int threads) {
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
            if (how == 0)
                for (long i = 0; i < count; i++) to[i] = d[i] * Spin_slope_of_value(x[i]);
            if (how == 1)
                for (long i = 0; i < count; i++) to[i] = d[i] * Spin_slope(x[i]);
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
