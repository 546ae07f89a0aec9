// Writes the logits that llama.cpp computes for given token ids, as they are: f32, nothing rounded.
//
//   logits MODEL N_THREADS N_CTX [f16|f32]
//
// stdin:  any number of windows, each an int32 `n`, an int32 `first`, and `n` int32 token ids
// stdout: an int32 `n_vocab`; then, for each window, rows `first..n` of `n_vocab` floats
//
// All integers are in the byte order of the machine. A window starts from an empty cache and is
// read in one batch. The last argument is the type of the cache, f16 by default there; everything
// else is as llama.cpp has it.
// `llama-perplexity --kl-divergence-base` is no substitute: it rounds log-probabilities to 16 bits
// and cuts them off 16 below the likeliest token.

#include "llama.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const char * what) {
    std::fprintf(stderr, "logits: %s\n", what);
    std::exit(1);
}

bool read_ints(std::int32_t * into, std::size_t n) {
    return std::fread(into, sizeof(std::int32_t), n, stdin) == n;
}

void silent(ggml_log_level, const char *, void *) {}

llama_context * open_model(const char * path, int n_threads, int n_ctx, bool f32_cache) {
    llama_model * model = llama_model_load_from_file(path, llama_model_default_params());
    if (model == nullptr) {
        fail("the model does not load");
    }
    llama_context_params params = llama_context_default_params();
    params.n_ctx = n_ctx;
    params.n_batch = n_ctx;
    params.n_ubatch = n_ctx;
    params.type_k = f32_cache ? GGML_TYPE_F32 : GGML_TYPE_F16;
    params.type_v = params.type_k;
    params.n_threads = n_threads;
    params.n_threads_batch = n_threads;
    llama_context * context = llama_init_from_model(model, params);
    if (context == nullptr) {
        fail("no context");
    }
    return context;
}

void fill(llama_batch & batch, const std::vector<std::int32_t> & ids, std::int32_t first) {
    batch.n_tokens = static_cast<std::int32_t>(ids.size());
    for (std::int32_t i = 0; i < batch.n_tokens; ++i) {
        batch.token[i] = ids[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = i >= first;
    }
}

}  // namespace

int main(int argc, char ** argv) {
    if (argc != 4 && argc != 5) {
        fail("usage: logits MODEL N_THREADS N_CTX [f16|f32]");
    }
    const int n_ctx = std::atoi(argv[3]);
    llama_log_set(silent, nullptr);
    llama_backend_init();
    const bool in_f32 = argc == 5 && std::string(argv[4]) == "f32";
    llama_context * context = open_model(argv[1], std::atoi(argv[2]), n_ctx, in_f32);
    const llama_vocab * vocab = llama_model_get_vocab(llama_get_model(context));
    const std::int32_t n_vocab = llama_vocab_n_tokens(vocab);
    std::fwrite(&n_vocab, sizeof(n_vocab), 1, stdout);
    std::fflush(stdout);

    llama_batch batch = llama_batch_init(n_ctx, 0, 1);
    std::int32_t head[2];
    while (read_ints(head, 2)) {
        const std::int32_t n = head[0];
        const std::int32_t first = head[1];
        if (n <= 0 || n > n_ctx || first < 0 || first >= n) {
            fail("a window outside the context");
        }
        std::vector<std::int32_t> ids(n);
        if (!read_ints(ids.data(), ids.size())) {
            fail("a window that ends early");
        }
        fill(batch, ids, first);
        llama_memory_clear(llama_get_memory(context), true);
        if (llama_decode(context, batch) != 0) {
            fail("the window does not decode");
        }
        const std::size_t floats = static_cast<std::size_t>(n - first) * n_vocab;
        if (std::fwrite(llama_get_logits(context), sizeof(float), floats, stdout) != floats) {
            fail("nobody reads the logits");
        }
        std::fflush(stdout);
    }
    return 0;
}
