# Everything runs in .venv, which is made on first use; nothing else is needed but Python 3.10+ and a registry.
PYTHON ?= python3
BIN := .venv/bin
# The tests and the quick start run small models, where more threads cost more than they bring.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: install quickstart quickstart-detection quickstart-segmentation demo demo-page demo-pictures test quality style docs results benchmark soak fuzz checkpoints clean

install: .venv/.installed

.venv/.installed: setup.cfg pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time it takes some minutes, in which nothing more is printed."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[examples,tests,quality]"
	touch $@

quickstart: install
	$(BIN)/python examples/quickstart.py --output_dir outputs/quickstart

quickstart-detection: install
	$(BIN)/python examples/quickstart_detection.py --output_dir outputs/quickstart_detection

quickstart-segmentation: install
	$(BIN)/python examples/quickstart_segmentation.py --output_dir outputs/quickstart_segmentation

# The page of sealed upload for the quick start's model, at a printed address of this machine.
demo: demo-page
	$(BIN)/python examples/space/serve.py outputs/space outputs/quickstart/pevit

demo-page: install
	test -e outputs/quickstart/pevit/README.md || $(MAKE) quickstart
	rm -rf outputs/space outputs/space_model
	$(BIN)/hipmr export outputs/quickstart/pevit --output-dir outputs/space_model || \
		cp -R outputs/quickstart/pevit outputs/space_model  # the page then asks the server alone
	$(BIN)/python examples/space/build.py outputs/space_model --output_dir outputs/space --endpoint /predict \
		--name pevit-digits-rs

# What docs/images shows of it: from a dropped JPEG to both predictions, in Chromium.
demo-pictures: demo-page
	HIPMR_QUICKSTART=$(CURDIR)/outputs/quickstart HIPMR_PAGE_PICTURES=$(CURDIR)/docs/images \
		$(BIN)/python -m pytest -q -k dropped_jpeg tests/examples/test_quickstart.py

# Soak and fuzz run here at a small size; their full size has targets of its own.
test: install .venv/torchao
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

# Apart: transformers imports it wherever it finds it, and it prints lines. One test has it on its path, and says so
# where it cannot be had.
.venv/torchao: | .venv/.installed
	-$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps --target $@ torchao

quality: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/verify_types.py

style: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A site of README, docs/ and the docstrings, without the network. Strict about broken links and references, which
# it would not be with --quiet.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "outputs/site/index.html; with search: $(PYTHON) -m http.server --bind 127.0.0.1 --directory outputs/site"

.venv/.docs: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

# The accuracy table of docs/results.md; DATA holds eurosat_train_6k.parquet and eurosat_test_1500.parquet.
DATA ?= ../shared/data
results: install
	$(BIN)/python benchmarks/accuracy/eurosat.py --data_dir $(DATA) --jobs 2

# Speed and memory beside what a user would pick instead: the table of docs/speed.md.
benchmark: install
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[benchmarks]"
	$(BIN)/python benchmarks/speed/run_all.py

# 50,000 pictures under kills and ruined files (ten minutes), and 120,000 damaged files (a minute).
soak: install
	$(BIN)/python tests/soak/soak.py

fuzz: install
	$(BIN)/python tests/fuzz/fuzz.py

# Every checkpoint with a card in model_cards/, trained and evaluated anew.
checkpoints: install
	rm -rf outputs/checkpoints
	$(BIN)/python examples/quickstart.py --output_dir outputs/checkpoints/digits --model_cards_dir model_cards
	$(BIN)/python examples/quickstart_detection.py --output_dir outputs/checkpoints/scenes --model_cards_dir model_cards

clean:
	rm -rf .venv outputs build dist src/*.egg-info .pytest_cache .ruff_cache .hypothesis
